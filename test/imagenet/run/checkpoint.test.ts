/** Checkpoints of the original research code, and ours as .pth. */
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { UsageError } from '../../../imagenet/errors.ts'
import { checkpointOf, readRunCheckpoint } from '../../../imagenet/run/checkpoint.ts'
import { ExperimentNet } from '../../../imagenet/run/model.ts'
import { convert, listing } from '../../../imagenet/weights/convert.ts'
import type { Picklable } from '../../../imagenet/weights/formats/pickle.ts'
import { torchCheckpoint } from '../../../imagenet/weights/formats/torch_checkpoint.ts'
import { openWeights } from '../../../imagenet/weights/formats/weights.ts'
import { writePth } from '../../../imagenet/weights/formats/write_pth.ts'
import { countOf } from '../../../nn/formats/dtypes.ts'
import {
  BatchNorm2d,
  type Checkpoint,
  Conv2d,
  encodeCheckpoint,
  Generator,
  head,
  Module,
  SGD,
  StepLR,
} from '../../../nn/index.ts'
import { testDevice } from '../../device.ts'
import { removeFolder, temporaryFolder } from '../pictures.ts'

const test = suite('checkpoints of PyTorch')
const folder = temporaryFolder()
test.after(() => removeFolder(folder))
const ORIGINAL = 'test/fixtures/pth/seed_checkpoint.pth'

/** The network of the fixture: the stem of a ResNet, and a head of 16 cells. */
class Stem extends Module {
  base = new (class extends Module {
    conv1 = new Conv2d(3, 64, 7, { stride: 2, padding: 3, bias: false })
    bn1 = new BatchNorm2d(64)
    forward = (): never => assert.unreachable() as never
  })()
  exp = head('Kakuritsu', { features: 2048, hidden: 16, classes: 10, generator: new Generator(0) })
  forward = (): never => assert.unreachable() as never
}

/** A state whose every tensor has a number of its own in all elements: drawing those of a ResNet takes long. */
const numbered = (model: Module) =>
  new Map(
    [...model.namedState()].map(([name, { savedDtypes, savedShape }], i) => {
      const data =
        savedDtypes[0] === 'I64' ? BigInt64Array.of(BigInt(i)) : new Float32Array(countOf(savedShape)).fill(i)
      return [name, { dtype: savedDtypes[0], shape: savedShape, data }]
    }),
  )

async function read(file: string): Promise<Checkpoint> {
  return checkpointOf(await openWeights(file))
}

/** All of a checkpoint, tensors as digests of their bytes. */
function contentsOf({ info, model, optimizer, scheduler }: Checkpoint) {
  const tensors = (state: Checkpoint['model']) =>
    Object.fromEntries(
      [...state].map(([name, { dtype, shape, data }]) => [
        name,
        [dtype, [...shape], createHash('sha1').update(data).digest('hex')],
      ]),
    )
  return { info, model: tensors(model), optimizer: { ...optimizer, tensors: tensors(optimizer.tensors) }, scheduler }
}

test("the original's checkpoint is read whole: epoch, best_acc1, settings, schedule", async () => {
  const { info, model, optimizer, scheduler } = await read(ORIGINAL)
  assert.equal(info, {
    arch: 'Kakuritsu',
    epoch: 3,
    step: 0,
    globalStep: 0,
    bestAcc1: Math.fround(67.11),
    totals: {},
    options: { lr: 0.01, momentum: 0.9, weightDecay: 1e-4, freeze: true },
  })
  assert.equal([...model.keys()].slice(-2), ['exp.li1.weight', 'exp.li2.weight'])
  assert.equal(optimizer.settings, { lr: 0.01, momentum: 0.9, weightDecay: 1e-4 })
  assert.equal(
    [...optimizer.tensors].map(([name, { shape }]) => [name, shape]),
    [
      ['state.0.momentum_buffer', [16, 2048]],
      ['state.1.momentum_buffer', [10, 16]],
    ],
  )
  assert.equal(scheduler, { stepSize: 30, gamma: 0.1, lastEpoch: 1 })
})

test("base, head, momentum and schedule of the original's checkpoint go on a device, bit for bit", async () => {
  const device = await testDevice()
  const saved = await read(ORIGINAL)
  const model = new Stem()
  model.loadStateDict(saved.model)
  model.to(device)
  const optimizer = new SGD(model.exp.parameters(), { lr: 1, momentum: 0, weightDecay: 0 })
  const scheduler = new StepLR(optimizer, 1)
  optimizer.loadStateDict(saved.optimizer)
  scheduler.loadStateDict(saved.scheduler)
  const now = {
    info: saved.info,
    model: await model.stateDict(),
    optimizer: await optimizer.stateDict(),
    scheduler: scheduler.stateDict(),
  }
  assert.equal(contentsOf(now), contentsOf(saved))
  assert.is(optimizer.lr, 0.01)
  model.free()
  optimizer.free()
})

test('a checkpoint goes to safetensors and back to .pth with nothing lost', async () => {
  const [safetensors, pth] = [join(folder, 'original.safetensors'), join(folder, 'original.pth')]
  const weights = await openWeights(ORIGINAL)
  assert.equal(await convert(weights, safetensors), { kind: 'checkpoint', leftOut: [] })
  assert.equal(await convert(await openWeights(safetensors), pth), { kind: 'checkpoint', leftOut: [] })
  const original = contentsOf(await read(ORIGINAL))
  assert.equal(contentsOf(await read(safetensors)), original)
  assert.equal(contentsOf(await read(pth)), original)
  const { saved } = await openWeights(pth)
  const dict = (value: unknown, key: string | number) => (value as Map<unknown, unknown>).get(key)
  const [group] = dict(dict(saved, 'optimizer'), 'param_groups') as unknown[]
  const [wanted] = dict(weights.saved!.get('optimizer'), 'param_groups') as unknown[]
  assert.equal(group, wanted, "torch.optim.SGD's group")
  assert.equal(dict(saved, 'scheduler'), weights.saved!.get('scheduler'), "torch's StepLR")
})

test('a checkpoint of this program comes back from .pth as it was: seed, options and all', async () => {
  const device = await testDevice()
  const options = { arch: 'White', base: 'resnet18', p: 0.5, maskGradient: 'exact', lr: 1, limitTrain: 28 } as const
  const model = new ExperimentNet(options, 10, new Generator(0))
  model.loadStateDict(numbered(model))
  model.to(device)
  const optimizer = new SGD(model.exp.parameters(), { lr: 0.05, momentum: 0.9, weightDecay: 0 })
  const scheduler = new StepLR(optimizer, 2, 0.5)
  scheduler.step()
  const info = {
    ...options,
    epoch: 1,
    step: 3,
    globalStep: 13,
    seed: 2 ** 53 - 1,
    bestAcc1: 67.11,
    totals: { loss: NaN, correct1: 5 },
    options,
    classes: [...'0123456789'],
  }
  const file = join(folder, 'ours.safetensors')
  const written = await encodeCheckpoint(info, { model, optimizer, scheduler })
  writeFileSync(file, Buffer.concat([...written]))
  const pth = join(folder, 'ours.pth')
  await convert(await openWeights(file), pth)
  assert.equal(contentsOf(await read(pth)), contentsOf(await read(file)))

  assert.equal((await read(pth)).info.classes, [...'0123456789'])

  const checkpoint = await readRunCheckpoint(pth)
  assert.equal(checkpoint.options, options)
  assert.equal([checkpoint.state.epoch, checkpoint.state.step, checkpoint.state.bestAcc1], [1, 3, 67.11])
  const resumed = new ExperimentNet(options, 10, new Generator(0))
  checkpoint.loadModel(resumed)
  resumed.to(device)
  checkpoint.close()
  assert.equal(await resumed.stateDict(), await model.stateDict())

  // Who does not say which network it is, is known by it.
  const unnamed = await read(pth)
  delete unnamed.info.base
  await writePth(join(folder, 'unnamed.pth'), torchCheckpoint(unnamed))
  assert.is((await readRunCheckpoint(join(folder, 'unnamed.pth'))).options.base, 'resnet18')
  for (const module of [model, resumed]) module.free()
  optimizer.free()
})

const changed = async (change: (saved: Map<string, Picklable>) => void): Promise<string> => {
  const saved = new Map((await openWeights(ORIGINAL)).saved as Map<string, Picklable>)
  change(saved)
  const file = join(folder, 'changed.pth')
  await writePth(file, saved)
  return file
}

const without = (dict: unknown, ...keys: string[]): Map<string, Picklable> => {
  const copy = new Map(dict as Map<string, Picklable>)
  for (const key of keys) copy.delete(key)
  return copy
}

/** The optimizer with this in its only group. */
const withSetting = (saved: Map<string, Picklable>, name: string, value: Picklable): void => {
  const optimizer = without(saved.get('optimizer'))
  const [group] = optimizer.get('param_groups') as unknown as Map<string, Picklable>[]
  saved.set('optimizer', optimizer.set('param_groups', [new Map([...group, [name, value]])]))
}

const REFUSED: [what: string, change: (saved: Map<string, Picklable>) => void, message: RegExp][] = [
  ['weights only', (saved) => saved.delete('optimizer'), /weights only; --pretrained takes those/],
  ['no arch', (saved) => saved.delete('arch'), /has no 'arch'/],
  ['an epoch that is no number', (saved) => saved.set('epoch', 'three'), /'epoch' is no number/],
  ['an optimizer that is no dict', (saved) => saved.set('optimizer', []), /'optimizer' is no dict/],
  ['no groups', (saved) => saved.set('optimizer', without(saved.get('optimizer'), 'param_groups')), /no param_groups/],
  [
    'another scheduler',
    (saved) => saved.set('scheduler', without(saved.get('scheduler'), 'step_size')),
    /no 'scheduler\.step_size'/,
  ],
  ['Nesterov momentum', (saved) => withSetting(saved, 'nesterov', true), /has nesterov, which this SGD has not/],
  ['fewer parameters than the head has', (saved) => withSetting(saved, 'params', [0]), /state of no parameter/],
  [
    'parameters beyond the network',
    (saved) => withSetting(saved, 'params', [0, 1, 2]),
    /has 3 parameters, its network 5 and its head 2/,
  ],
  ['another arch', (saved) => saved.set('arch', 'Grey'), /arch is 'Grey', none of Kakuritsu, Dropout, White/],
  ['options that are no JSON', (saved) => saved.set('options', '{'), /'options' is not JSON/],
  ['a base that torchvision has not', () => {}, /base\.\* are the weights of no ResNet/],
]
for (const [what, change, message] of REFUSED)
  test(`does not resume from a checkpoint with ${what}`, async () => {
    const file = await changed(change)
    const error = await readRunCheckpoint(file).catch((error) => error)
    assert.instance(error, UsageError)
    assert.match(error.message, message)
  })

test('momentum that never was is zeros', async () => {
  const device = await testDevice()
  const saved = await read(
    await changed((saved) => saved.set('optimizer', without(saved.get('optimizer')).set('state', new Map()))),
  )
  const model = new Stem().to(device)
  const optimizer = new SGD(model.exp.parameters(), { lr: 1, momentum: 0.9 })
  optimizer.loadStateDict(saved.optimizer)
  const { tensors } = await optimizer.stateDict()
  assert.equal(tensors.get('state.1.momentum_buffer')!.data, new Float32Array(160))
  model.free()
  optimizer.free()
})

test('converts weights alone, keeps what is there, and says what has no place', async () => {
  const file = join(folder, 'weights.pth')
  const weights = await openWeights(ORIGINAL)
  assert.is((await convert(weights, file, { weightsOnly: true })).kind, 'weights')
  const before = readFileSync(file)
  const again = await convert(weights, file).catch((error) => error)
  assert.instance(again, UsageError)
  assert.match(again.message, /weights\.pth exists; --force writes over it/)
  assert.ok(readFileSync(file).equals(before))
  await convert(weights, file, { force: true })
  assert.not.ok(readFileSync(file).equals(before))

  const described = {
    ...(await openWeights('test/fixtures/small.safetensors')),
    metadata: { format: 'pt', source: 'x' },
  }
  assert.equal((await convert(described, join(folder, 'small.pth'))).leftOut, ['source'])
  await convert(described, join(folder, 'small.safetensors'))
  assert.equal((await openWeights(join(folder, 'small.safetensors'))).metadata, described.metadata, 'metadata are kept')
  const unknown = await convert(weights, join(folder, 'weights.onnx')).catch((error) => error)
  assert.match(unknown.message, /must end with one of \.safetensors, \.pth, \.pt/)
  assert.not.ok(existsSync(join(folder, 'weights.onnx')))
})

test('lists names, dtypes and shapes', async () => {
  assert.equal(listing(await openWeights(ORIGINAL)).slice(4, 7), [
    'base.bn1.running_var          F32   [64]',
    'base.bn1.num_batches_tracked  I64   []',
    'exp.li1.weight                F32   [16, 2048]',
  ])
})

test.run()
