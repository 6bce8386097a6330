import { mkdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { jpegOf, picture, pngOf, removeFolder, temporaryFolder } from '../imagenet/pictures.ts'
import { serve } from '../imagenet/server.ts'
import { contents, linesOf, runBin } from './commands.ts'

const test = suite('train')
const folder = temporaryFolder()
const output = (name: string) => join(folder, name)

/** A few small steps: what every run here has in common. */
const SMALL = ['--base', 'resnet18', '--image-size', '32', '--seed', '5', '-j', '1', '-p', '1', '-b', '8']
const MNIST = ['mnist', ...SMALL, '--limit-train', '28', '--limit-val', '12']
const CHECKPOINT = 'Exp_ResNet18_Kakuritsu.safetensors'

test('trains from zero on MNIST: progress lines, metrics, summary, checkpoints', async () => {
  const to = output('whole')
  const { status, stdout, stderr } = await runBin('train', [...MNIST, '--epochs', '2', '--output', to])
  assert.is(status, 0, stderr)
  assert.match(stdout, /^GPU: /)
  assert.match(stdout, /^Epoch: \[0\]\[0\/4\] BTime= .* DTime= .* Loss= .* Acc@1= .* \(Avg= .*\) Acc@5= .*/m)
  assert.match(stdout, /^Epoch: \[1\]\[3\/4\] /m)
  assert.is(stdout.match(/^ \* Acc@1 Avg= [\d.]+ Acc@5 Avg= [\d.]+$/gm)?.length, 2)

  const lines = linesOf(join(to, 'metrics.jsonl'))
  assert.is(lines.filter(({ phase }) => phase === 'train').length, 8)
  assert.is(lines.filter(({ phase }) => phase === 'val').length, 2)
  const keys = ['phase', 'epoch', 'step', 'loss', 'acc1', 'acc5', 'lr', 'images_per_s']
  for (const line of lines) assert.equal(Object.keys(line), line.phase === 'train' ? [...keys, 'grad_norm'] : keys)
  assert.is(lines[0].lr, 0.1, 'from zero')

  const summary = JSON.parse(readFileSync(join(to, 'summary.json'), 'utf8'))
  assert.is(summary.epochs, 2)
  assert.is(summary.options.seed, 5)

  const { tensors, metadata } = contents(join(to, CHECKPOINT))
  for (const name of ['base.conv1.weight', 'base.layer4.1.bn2.running_var', 'exp.li1.weight', 'exp.li2.weight'])
    assert.ok(name in tensors, name)
  assert.not.ok('base.fc.weight' in tensors)
  assert.is(metadata.epoch, '2')
  assert.is(metadata.arch, 'Kakuritsu')
  assert.equal(JSON.parse(metadata.classes), [...'0123456789'])
  assert.ok(contents(join(to, CHECKPOINT.replace('.', '_best.'))).metadata.best_acc1)
})

test('an interrupted run saves, and resumed ends with the same bits', async () => {
  const to = output('interrupted')
  let interrupted = false
  const first = await runBin('train', [...MNIST, '--epochs', '2', '--output', to], (child, stdout) => {
    if (interrupted || !stdout.includes('Epoch: [1][0/4]')) return
    interrupted = true
    child.kill('SIGINT')
  })
  assert.is(first.status, 130, first.stderr)
  assert.match(first.stdout, /interrupted: epoch 1, step [1-4] saved; go on with --resume/)

  // Options that are not given are those of the interrupted run.
  const second = await runBin('train', ['--resume', join(to, CHECKPOINT)])
  assert.is(second.status, 0, second.stderr)
  const [resumed, whole] = [contents(join(to, CHECKPOINT)), contents(join(output('whole'), CHECKPOINT))]
  assert.equal(resumed.tensors, whole.tensors)
  for (const key of ['epoch', 'step', 'best_acc1', 'random_state', 'scheduler'])
    assert.is(resumed.metadata[key], whole.metadata[key], key)
  const numbers = (name: string) =>
    linesOf(join(output(name), 'metrics.jsonl')).map(({ images_per_s: _, ...rest }) => rest)
  assert.equal(numbers('interrupted'), numbers('whole'))
})

test('a run interrupted in a validation resumes with that validation', async () => {
  const to = output('validating')
  let interrupted = false
  const once = [...MNIST, '--limit-val', '40', '--epochs', '1', '--output', to]
  const first = await runBin('train', once, (child, stdout) => {
    if (interrupted || !stdout.includes('Test: [0/5]')) return
    interrupted = true
    child.kill('SIGINT')
  })
  assert.is(first.status, 130, first.stderr)
  assert.match(first.stdout, /interrupted: epoch 0, step 4 saved/)
  const second = await runBin('train', ['--resume', join(to, CHECKPOINT)])
  assert.is(second.status, 0, second.stderr)
  assert.not.match(second.stdout, /^Epoch/m)
  assert.match(second.stdout, /^ \* Acc@1/m)
  assert.is(contents(join(to, CHECKPOINT)).metadata.epoch, '1')
})

test('evaluates a checkpoint as it trained, without noise, and with other noise', async () => {
  const evaluate = async (...args: string[]) => {
    const file = join(output('whole'), CHECKPOINT)
    const { status, stdout, stderr } = await runBin('train', ['--resume', file, '-e', '--output', output('e'), ...args])
    assert.is(status, 0, stderr)
    return stdout.match(/^Test: .*Loss= \S+ \(Avg= (\S+)\)/m)![1]
  }
  const own = await evaluate()
  const plain = await evaluate('-sw')
  assert.is(await evaluate('--eval-head', 'plain'), plain)
  assert.is(await evaluate('--eval-head', 'kakuritsu:1'), plain)
  assert.is(await evaluate('--eval-head', 'kakuritsu:0.5'), own)
  assert.is.not(own, plain)
  assert.is.not(await evaluate('--eval-head', 'dropout:0.5'), plain)
})

test('trains a head on pretrained weights, from a folder of JPEG and PNG files', async () => {
  const images: Record<string, Uint8Array> = {}
  for (const [i, split] of ['train', 'train', 'train', 'val'].entries())
    for (const [label, name] of ['cat', 'dog'].entries())
      images[`${split}/${name}/${i}.${i === 1 ? 'png' : 'jpg'}`] = (i === 1 ? pngOf : jpegOf)(
        picture(50 + 10 * i, 60, i + 5 * label),
      )
  const dir = temporaryFolder(images)
  const base = join(output('whole'), 'base.safetensors')
  const run = (...args: string[]) =>
    runBin('train', [dir, ...SMALL, '--epochs', '1', '-a', 'Dropout', '--output', output('folder'), ...args])
  // A base of random weights stands for pretrained ones; its state under torchvision's names is what `experiment` writes.
  const { status, stdout, stderr } = await run('--freeze', '--freeze-bn')
  assert.is(status, 0, stderr)
  assert.match(stdout, /2 classes, 6 training and 2 validation images/)
  assert.is(linesOf(join(output('folder'), 'metrics.jsonl'))[0].lr, 0.01, 'for-experiment')
  const { tensors } = contents(join(output('folder'), 'Exp_ResNet18_Dropout.safetensors'))
  assert.equal(
    Object.keys(tensors).filter((name) => name.startsWith('optimizer.')).length,
    2,
    'only the head is optimised',
  )
  const missing = await run('--pretrained', base)
  assert.is(missing.status, 2)
  assert.match(missing.stderr, /there is no file .*base\.safetensors/)
  removeFolder(dir)
})

test('--dummy makes images up', async () => {
  const args = ['--dummy', ...SMALL, '--limit-train', '8', '--limit-val', '8', '--epochs', '1', '-a', 'White']
  const { status, stdout, stderr } = await runBin('train', [...args, '--freeze', '--output', output('dummy')])
  assert.is(status, 0, stderr)
  assert.match(stdout, /1000 classes, 8 training and 8 validation images/)
})

const WRONG_USES: [what: string, args: () => string[], message: RegExp][] = [
  ['an unknown arch', () => ['mnist', '-a', 'Grey'], /'Grey' is invalid.*Kakuritsu, Dropout, White/],
  ['an unknown base', () => ['mnist', '--base', 'vgg'], /'vgg' is invalid/],
  ['an unknown decoder', () => ['mnist', '--decoder', 'turbo'], /'turbo' is invalid.*auto, sharp, jpeg-js/],
  ['an unknown option', () => ['mnist', '--frobnicate'], /unknown option '--frobnicate'/],
  ['p outside [0, 1]', () => ['mnist', '--p', '1.5'], /--p takes a probability from 0 to 1, given '1.5'/],
  ['a batch of no images', () => ['mnist', '-b', '0'], /--batch-size takes a whole number from 1 on, given '0'/],
  ['no folder', () => [join(folder, 'none')], /there is no folder .*none/],
  ['an empty folder', () => [emptyFolder()], /holds no folder 'train'/],
  ['a class without images', () => [emptyClass()], /class folder .*cat holds no/],
  ['no checkpoint', () => ['mnist', '--resume', join(folder, 'none')], /there is no file .*none/],
  ['a checkpoint that is none', () => ['mnist', '--resume', 'package.json'], /package\.json: /],
  [
    'a checkpoint of another base',
    () => ['mnist', '--base', 'resnet34', '--resume', join(output('whole'), CHECKPOINT)],
    /the checkpoint is of --base resnet18, not resnet34/,
  ],
  ['two ways to evaluate', () => ['mnist', '-sw', '--eval-head', 'plain'], /-sw and --eval-head/],
  ['an unknown way to evaluate', () => ['mnist', '--eval-head', 'kakuritsu'], /kakuritsu:P, dropout:P or plain/],
  ['--freeze-bn without a frozen base', () => ['mnist', '--freeze-bn'], /--freeze-bn is for a frozen base/],
  ['a folder as pretrained weights', () => ['--pretrained', 'test', '-b', '1'], /names a folder.*before --pretrained/],
  ['several processes that nobody started', () => ['mnist', '--world-size', '2'], /wants 2 processes.*mpirun -n 2/],
  ['a rank that this process is not', () => ['mnist', '--rank', '1'], /--rank 1 is not this process's/],
  ['no such GPU', () => ['mnist', '--gpu', 'no such'], /'no such' is neither a GPU's number nor a part of its name/],
]

test('--pretrained without a file or a network: one sentence with the address and the folder', async () => {
  const { TORCH_HOME, KAKURITSU_WEIGHTS_URL } = process.env
  const gone = await serve()
  await gone.close()
  Object.assign(process.env, { TORCH_HOME: output('torch'), KAKURITSU_WEIGHTS_URL: gone.url })
  try {
    const { status, stdout, stderr } = await runBin('train', ['mnist', '--base', 'resnet34', '--pretrained'])
    assert.is(status, 1)
    assert.is(stdout, '')
    assert.match(stderr, /^train: cannot download http:[\d./:]+\/resnet34-b627a593\.pth .*torch.hub.checkpoints/m)
  } finally {
    for (const [name, value] of Object.entries({ TORCH_HOME, KAKURITSU_WEIGHTS_URL }))
      if (value === undefined) delete process.env[name]
      else process.env[name] = value
  }
})

for (const [what, args, message] of WRONG_USES)
  test(`wrong use: ${what}`, async () => {
    const { status, stdout, stderr } = await runBin('train', args())
    assert.is(status, 2, stderr)
    assert.is(stdout, '')
    assert.match(stderr, message)
    assert.not.match(stderr, /^ +at /m)
  })

test('--help names the options of the original', async () => {
  const { status, stdout } = await runBin('train', ['--help'])
  assert.is(status, 0)
  for (const option of [
    '-a, --arch',
    '-j, --workers',
    '--lr, --learning-rate',
    '--wd, --weight-decay',
    '-sw, --switch',
  ])
    assert.ok(stdout.includes(option), option)
})

function emptyFolder(): string {
  mkdirSync(join(folder, 'empty'), { recursive: true })
  return join(folder, 'empty')
}

function emptyClass(): string {
  for (const split of ['train', 'val']) mkdirSync(join(folder, 'hollow', split, 'cat'), { recursive: true })
  return join(folder, 'hollow')
}

test.after(() => rmSync(folder, { recursive: true, force: true }))
test.run()
