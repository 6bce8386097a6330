import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { noGrad, scope } from '../../engine/index.ts'
import { Loader } from '../../imagenet/data/loader.ts'
import { imageSamples } from '../../imagenet/data/samples.ts'
import { AnswerSum } from '../../imagenet/predict/answer.ts'
import { classNames, IMAGENET_CLASSES } from '../../imagenet/predict/class_names.ts'
import { type Classifier, openClassifier } from '../../imagenet/predict/classifier.ts'
import { ImageList, listImages } from '../../imagenet/predict/images.ts'
import { type Outcome, predict } from '../../imagenet/predict/predict.ts'
import { convert } from '../../imagenet/weights/convert.ts'
import { openWeights } from '../../imagenet/weights/formats/weights.ts'
import { type HeadNoise, loadWeights, resnet, writeSafetensors } from '../../nn/index.ts'
import { testDevice } from '../device.ts'
import { saveCheckpoint, saveTorchvision } from './classifiers.ts'
import { jpegOf, picture, pngOf, removeFolder, temporaryFolder } from './pictures.ts'

const test = suite('predict')

const folder = temporaryFolder({
  'images/a.png': pngOf(picture(40, 50, 1)),
  'images/b.jpg': jpegOf(picture(60, 44, 2)),
  'images/bad.jpg': 'no image',
  'images/deep/c.png': pngOf(picture(32, 32, 3)),
  'images/notes.txt': 'no image either',
  'empty/notes.txt': '',
})
const images = join(folder, 'images')

const near = (actual: number, wanted: number, tolerance = 1e-12) =>
  assert.ok(Math.abs(actual - wanted) <= tolerance, `${actual}, not ${wanted}`)

test('mean, spread and doubt of passes are what their definitions say', () => {
  const sum = new AnswerSum(3)
  // Probabilities 1/2, 1/4, 1/4 and then 1/8, 3/4, 1/8, whatever is added to all logits.
  const passes = [
    [1 / 2, 1 / 4, 1 / 4],
    [1 / 8, 3 / 4, 1 / 8],
  ]
  for (const [i, pass] of passes.entries()) sum.add(Float32Array.from(pass, (p) => Math.log(p) + 100 * i))
  const { top, entropy, mutualInformation } = sum.result(2)
  assert.equal(
    top.map((answer) => answer.class),
    [1, 0],
  )
  // Logits near 100 have 2^-18 as their last bit.
  near(top[0].probability, 1 / 2, 1e-5)
  near(top[0].std!, Math.SQRT1_2 / 2, 1e-5)
  near(top[1].probability, 5 / 16, 1e-5)
  const h = (p: number[]) => -p.reduce((total, x) => total + x * Math.log(x), 0)
  near(entropy, h([5 / 16, 1 / 2, 3 / 16]), 1e-5)
  near(mutualInformation!, entropy - (h(passes[0]) + h(passes[1])) / 2, 1e-5)
})

test('one pass has no spread; equal passes have none of it', () => {
  const once = new AnswerSum(4)
  once.add(Float32Array.of(0, 0, 0, 0))
  const { top, entropy, mutualInformation } = once.result(9)
  assert.equal(
    top.map((answer) => answer.class),
    [0, 1, 2, 3],
    'of equal ones the lowest number first; no more than there are',
  )
  assert.is(top[0].std, null)
  assert.is(mutualInformation, null)
  near(entropy, Math.log(4))
  once.add(Float32Array.of(1, 1, 1, 1))
  assert.is(once.result(1).top[0].std, 0)
  near(once.result(1).mutualInformation!, 0)
  assert.throws(() => once.add(Float32Array.of(0, NaN, 0, 0)), /a logit is not finite/)
})

test('classes have the names recorded, or those of ImageNet, or numbers', () => {
  assert.is(IMAGENET_CLASSES.length, 1000)
  assert.is(new Set(IMAGENET_CLASSES).size, 1000)
  for (const [label, name] of Object.entries({ 0: 'tench', 281: 'tabby', 517: 'crane', 999: 'toilet tissue' }))
    assert.is(IMAGENET_CLASSES[Number(label)], name)
  assert.is(classNames(1000), IMAGENET_CLASSES)
  assert.equal(classNames(2, ['cat', 'dog']), ['cat', 'dog'])
  assert.equal(classNames(2), ['class 0', 'class 1'])
  const folders = IMAGENET_CLASSES.map((_, i) => `n${String(1440764 + i).padStart(8, '0')}`)
  assert.is(classNames(1000, folders), IMAGENET_CLASSES, 'its folders have names that nobody knows by heart')
})

test('images are those named, and those in folders and below', () => {
  const found = ['a.png', 'b.jpg', 'bad.jpg', join('deep', 'c.png')].map((name) => join(images, name))
  assert.equal(listImages([images]), found)
  assert.equal(listImages(['none.jpg', images]), ['none.jpg', ...found], 'what is not there shows when it is read')
  assert.throws(() => listImages([join(folder, 'empty')]), /empty holds no \.jpg, \.jpeg, \.png file/)
})

async function outcomes(classifier: Classifier, passes = 1, batchSize = 3): Promise<Outcome[]> {
  const all: Outcome[] = []
  const options = { batchSize, workers: 0, passes, topk: 3 }
  for await (const outcome of predict(await testDevice(), classifier, listImages([images]), options)) all.push(outcome)
  return all
}

async function opened(file: string, noise: HeadNoise | null = null): Promise<Classifier> {
  const classifier = await openClassifier(file, { seed: 1 })
  classifier.place(await testDevice())
  classifier.setNoise(noise)
  return classifier
}

test('a classifier of torchvision says what its network says, and files that are no images are named in their place', async () => {
  const file = await saveTorchvision(join(folder, 'torchvision.safetensors'), 1000)
  const classifier = await opened(file)
  assert.is(classifier.base, 'resnet18', 'recognized')
  assert.is(classifier.classes, IMAGENET_CLASSES)
  assert.is(classifier.recipe.transform, 'val')
  assert.is(classifier.recipe.imageSize, 224)
  classifier.recipe.imageSize = 64 // quicker
  const all = await outcomes(classifier)
  assert.equal(
    all.map(({ file }) => file),
    listImages([images]),
  )
  assert.match((all[2] as { error: string }).error, /neither JPEG nor PNG/)

  const device = await testDevice()
  const network = resnet('resnet18')
  const weights = await openWeights(file)
  loadWeights(network, weights.tensors)
  network.to(device).eval()
  weights.close()
  const source = new ImageList([join(images, 'deep', 'c.png')], classifier.recipe)
  const loader = new Loader(source, { batchSize: 1, imageSize: 64, seed: 0, shuffle: false, workers: 0 })
  for await (const batch of loader.epoch(0)) {
    const logits = scope(() => noGrad(() => network.call(imageSamples(batch, source).input(device, 0, 1)).read()))
    const wanted = new AnswerSum(1000)
    wanted.add(await logits)
    const { prediction } = all[3] as { prediction: ReturnType<AnswerSum['result']> }
    assert.equal(
      prediction.top.map((answer) => answer.class),
      wanted.result(3).top.map((answer) => answer.class),
    )
    near(prediction.top[0].probability, wanted.result(1).top[0].probability, 1e-6)
  }
  network.free()
})

test('a head under its noise answers with mean and spread, the same for any batches; without noise there is none', async () => {
  const classes = [...'0123456789']
  const file = await saveCheckpoint(join(folder, 'run'), 'Kakuritsu', classes)
  const classifier = await opened(file)
  assert.equal(classifier.classes, classes)
  assert.equal(classifier.recipe.transform, 'digits')
  assert.is(classifier.recipe.imageSize, 32)
  assert.is(classifier.arch, 'Kakuritsu')
  const answered = await outcomes(classifier, 20, 2)
  for (const outcome of answered)
    if ('prediction' in outcome) {
      const { top, mutualInformation, entropy } = outcome.prediction
      assert.ok(top[0].std! > 0)
      assert.ok(mutualInformation! > 0 && mutualInformation! < entropy)
    }
  assert.equal(await outcomes(classifier, 20, 9), answered)
  assert.is.not((await openClassifier(file, { seed: 2 })).generator.seed, classifier.generator.seed)

  classifier.setNoise({ kind: 'plain' })
  const plain = await outcomes(classifier)
  classifier.setNoise({ kind: 'kakuritsu', p: 1 })
  for (const [i, outcome] of (await outcomes(classifier, 3)).entries())
    if ('prediction' in outcome) {
      const [{ class: label, probability, std }] = outcome.prediction.top
      const wanted = (plain[i] as typeof outcome).prediction.top[0]
      assert.is(std, 0)
      assert.is(label, wanted.class)
      near(probability, wanted.probability, 1e-6)
    }

  // The same as the original research code's kind of file.
  const pth = join(folder, 'run.pth')
  const weights = await openWeights(file)
  await convert(weights, pth)
  weights.close()
  const converted = await opened(pth, { kind: 'plain' })
  assert.equal(converted.classes, classes)
  assert.equal(converted.recipe, classifier.recipe)
  assert.equal(await outcomes(converted), plain)
})

test('a file that holds no classifier is named, and what it lacks', async () => {
  const save = (name: string, names: Record<string, number[]>) => {
    const tensors = Object.entries(names).map(([key, shape]) => {
      const size = shape.reduce((a, b) => a * b)
      return [key, { dtype: 'F32', shape, data: new Float32Array(size) }] as const
    })
    writeFileSync(join(folder, name), Buffer.concat([...writeSafetensors(tensors)]))
    return join(folder, name)
  }
  for (const [names, message] of [
    [{ x: [1] }, /holds no classifier: neither a last layer 'fc' nor a head 'exp'/],
    [{ 'li1.weight': [2, 3], 'li2.weight': [2, 2] }, /holds a head alone/],
    [{ 'fc.weight': [2, 3], 'conv1.weight': [1, 1] }, /of no network that is known \(resnet18, .*--base NAME/],
    [{ 'exp.li1.weight': [2, 3], 'exp.li2.weight': [2, 2] }, /of no network that is known/],
  ] as const) {
    const file = save('wrong.safetensors', names as unknown as Record<string, number[]>)
    const error = (await openClassifier(file, { seed: 0 }).catch((error: Error) => error)) as Error
    assert.is(error.name, 'UsageError', error.message)
    assert.match(error.message, /wrong\.safetensors: /)
    assert.match(error.message, message)
    const named = (await openClassifier(file, { seed: 0, base: 'resnet34' }).catch((error: Error) => error)) as Error
    assert.is(named.name, 'UsageError', named.message)
  }
})

test.after(() => removeFolder(folder))
test.run()
