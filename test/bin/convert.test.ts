import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { openWeights } from '../../imagenet/index.ts'
import { OrderedDict, type Picklable } from '../../imagenet/weights/formats/pickle.ts'
import { writePth } from '../../imagenet/weights/formats/write_pth.ts'
import { isWhole } from '../../imagenet/weights/seal.ts'
import { removeFolder, temporaryFolder } from '../imagenet/pictures.ts'
import { contents, runBin } from './commands.ts'

const test = suite('convert')
const folder = temporaryFolder()
test.after(() => removeFolder(folder))
const at = (...names: string[]) => join(folder, ...names)

const CHECKPOINT = 'Exp_ResNet18_Kakuritsu.safetensors'
const FEW = ['--limit-train', '8', '--limit-val', '8', '-b', '8', '-j', '0', '--image-size', '32']
const RUN = ['mnist', '--base', 'resnet18', '--freeze', '--seed', '5', ...FEW]

/** Runs a command that must succeed; what it printed. */
async function run(command: string, ...args: string[]): Promise<string> {
  const { status, stdout, stderr } = await runBin(command, args)
  assert.is(status, 0, stderr)
  return stdout
}

test('a checkpoint goes to .pth and back with the same bits, and a run goes on from it there', async () => {
  await run('train', ...RUN, '--epochs', '1', '--output', at('first'))
  assert.match(await run('convert', at('first', CHECKPOINT), at('first.pth')), /first\.pth: checkpoint, 124 tensors/)
  await run('convert', at('first.pth'), at('back.safetensors'))
  // The checksum is of the whole file, in which keys may stand in another order.
  const unsealed = (file: string) => {
    const { tensors, metadata } = contents(file)
    return { tensors, metadata: { ...metadata, sha256: '' } }
  }
  assert.equal(unsealed(at('back.safetensors')), unsealed(at('first', CHECKPOINT)))
  assert.ok(isWhole(at('back.safetensors')))
  assert.match(contents(at('back.safetensors')).metadata.sha256, /^[0-9a-f]{64}$/)

  const stdout = await run('train', '--resume', at('first.pth'), '--epochs', '2', '--output', at('second'))
  assert.match(stdout, /seed 5/)
  assert.match(stdout, /^Epoch: \[1\]\[0\/1\]/m)
  assert.is(contents(at('second', CHECKPOINT)).metadata.epoch, '2')
})

test("a run goes on from the original research code's checkpoint", async () => {
  const { saved } = await openWeights(at('first.pth'))
  const kept = ['epoch', 'arch', 'best_acc1', 'optimizer', 'scheduler'].map((key) => [key, saved!.get(key)] as const)
  const state = [...(saved!.get('state_dict') as Map<string, Picklable>)]
  const original = [...kept, ['state_dict', new OrderedDict(state.map(([name, value]) => [`module.${name}`, value]))]]
  await writePth(at('original.pth'), new Map(original as [string, Picklable][]))

  const stdout = await run(
    'train',
    'mnist',
    '--resume',
    at('original.pth'),
    '--epochs',
    '2',
    '--output',
    at('on'),
    ...FEW,
  )
  assert.match(stdout, /resnet18 under Kakuritsu, 10 classes/)
  assert.match(stdout, /^Epoch: \[1\]\[0\/1\]/m)
  assert.not.match(stdout, /^Epoch: \[0\]/m)
  const { metadata, tensors } = contents(at('on', CHECKPOINT))
  assert.is(metadata.epoch, '2')
  assert.equal(JSON.parse(metadata.optimizer), { name: 'SGD', lr: 0.01, momentum: 0.9, weight_decay: 0.0001 })
  assert.equal(JSON.parse(metadata.scheduler).last_epoch, 2)
  assert.is(tensors['base.conv1.weight'], contents(at('first', CHECKPOINT)).tensors['base.conv1.weight'], 'frozen')
})

test('lists, and refuses wrong use with one sentence', async () => {
  const stdout = await run('convert', 'test/fixtures/pth/small.pth', '--list')
  assert.is(stdout.split('\n')[0], 'conv1.weight             F32   [64, 3, 7, 7]')
  const wrong: [args: string[], message: RegExp][] = [
    [['test/fixtures/pth/small.pth'], /OUT is missing/],
    [['none.pth', at('x.pth')], /there is no file none\.pth/],
    [['test/fixtures/pth/small.pth', at('first.pth')], /first\.pth exists; --force writes over it/],
    [['test/fixtures/pth/small.pth', at('none', 'x.pth')], /cannot write .*x\.pth \(ENOENT\)/],
    [['test/fixtures/pth/hostile.pth', at('x.pth')], /names posix\.system/],
  ]
  for (const [args, message] of wrong) {
    const { status, stderr } = await runBin('convert', args)
    assert.is(status, 2, stderr)
    assert.match(stderr, message)
    assert.is(stderr.trim().split('\n').length, 1, stderr)
  }
  assert.not.ok(existsSync(at('x.pth')))
})

test.run()
