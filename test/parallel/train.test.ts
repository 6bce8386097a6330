/** `mpirun -n N node bin/train.js`: what N ranks train is what one process does. */
import { existsSync, readFileSync, rmSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { readSafetensors } from '../../nn/index.ts'
import { linesOf, runBin } from '../bin/commands.ts'
import { temporaryFolder } from '../imagenet/pictures.ts'
import { hasMpi, runMpi } from './mpirun.ts'

const test = suite('train over MPI')
const withMpi = hasMpi ? test : test.skip
const folder = temporaryFolder()
const output = (name: string) => join(folder, name)
const checkpoint = (name: string, arch = 'Kakuritsu') => join(output(name), `Exp_ResNet18_${arch}.safetensors`)

/** 24 images in batches of 7, the last of 3: parts of ranks differ in size, and a fourth rank has none at times. */
const SMALL = ['mnist', '--base', 'resnet18', '--image-size', '32', '--seed', '5', '-j', '1', '-p', '1', '-b', '7']
const IMAGES = ['--limit-train', '24', '--limit-val', '10']
/** A head on features that are computed once for all runs here. */
const HEAD = [...SMALL, ...IMAGES, '--freeze', '--freeze-bn', '--views', '1', '--cache-features', output('features')]

const trainOn = (ranks: number, args: string[], options?: Parameters<typeof runMpi>[1]) =>
  runMpi(['-n', String(ranks), process.execPath, 'bin/train.js', ...args, '--share-gpu', '4'], options)

/** The greatest difference between two checkpoints' tensors, as a part of the greatest element of its tensor. */
function difference(
  a: string,
  b: string,
  { arch, of = () => true }: { arch?: string; of?: (name: string) => boolean } = {},
): number {
  const [ours, theirs] = [a, b].map((name) => readSafetensors(readFileSync(checkpoint(name, arch))).tensors)
  const chosen = [...ours].filter(([name]) => of(name))
  const parts = chosen.map(([name, { data }]) => {
    const other = theirs.get(name)!.data
    let [worst, most] = [0, Number.MIN_VALUE]
    for (let i = 0; i < data.length; i++) {
      worst = Math.max(worst, Math.abs(Number(data[i]) - Number(other[i])))
      most = Math.max(most, Math.abs(Number(data[i])))
    }
    return worst / most
  })
  return Math.max(...parts)
}

const numbers = (name: string) =>
  linesOf(join(output(name), 'metrics.jsonl')).map(({ phase, epoch, step, acc1, acc5 }) => ({
    phase,
    epoch,
    step,
    acc1,
    acc5,
  }))

/** Sums of parts in another order: a few roundings. */
const ROUNDING = 2e-6

withMpi(
  'a head on features: two ranks that the command starts, three, and one that goes on with what three began',
  async () => {
    const starting = [
      '--multiprocessing-distributed',
      '--share-gpu',
      '2',
      '--dist-backend',
      'nccl',
      '--world-size',
      '1',
    ]
    const two = await runMpi(['bin/train.js', ...HEAD, '--epochs', '2', '--output', output('two'), ...starting], {
      command: process.execPath,
    })
    assert.is(two.status, 0, two.stderr)
    assert.match(two.stdout, new RegExp(`^2 ranks over Open MPI .*: 2 on ${hostname()}$`, 'm'))
    assert.match(two.stdout, /^--dist-backend nccl: sums go over MPI/m)
    assert.is(two.stdout.match(/^ \* Acc@1/gm)?.length, 2, 'rank 0 alone prints')
    const three = await trainOn(3, [...HEAD, '--epochs', '1', '--output', output('three')])
    assert.is(three.status, 0, three.stderr)
    const one = await runBin('train', ['--resume', checkpoint('three'), '--epochs', '2'])
    assert.is(one.status, 0, one.stderr)
    assert.ok(difference('two', 'three') < ROUNDING, `${difference('two', 'three')}`)
    assert.equal(numbers('two'), numbers('three'))
  },
)

withMpi('from zero, with joined BatchNorm', async () => {
  // At 64 pixels a side the last stage has 28 rows to normalise, not 7. Losses and statistics are compared: a gradient
  // jumps where rounding takes an activation across 0 (a millionth of a weight changes some by a half).
  const images = ['--image-size', '64', '--limit-train', '14', '--limit-val', '4']
  const args = [...SMALL, ...images, '--epochs', '1', '--lr', '1e-3', '-a', 'White', '--sync-bn']
  const one = await runBin('train', [...args, '--output', output('zero one')])
  assert.is(one.status, 0, one.stderr)
  const two = await trainOn(2, [...args, '--output', output('zero two')])
  assert.is(two.status, 0, two.stderr)
  const losses = (name: string) => linesOf(join(output(name), 'metrics.jsonl')).map(({ loss }) => Number(loss))
  for (const [i, loss] of losses('zero one').slice(0, 2).entries())
    assert.ok(Math.abs(loss - losses('zero two')[i]) < 2e-3 * loss, `${loss} ${losses('zero two')[i]}`)
  const isStatistic = (name: string) => /running_(mean|var)$/.test(name)
  const statistics = difference('zero two', 'zero one', { arch: 'White', of: isStatistic })
  assert.ok(statistics < 5e-3, `${statistics}`)
})

withMpi('a request to stop reaches all ranks, and rank 0 saves', async () => {
  let asked = false
  const { status, stdout, stderr } = await trainOn(2, [...HEAD, '--epochs', '3', '--output', output('stopped')], {
    watch: (child, stdout) => {
      if (asked || !stdout.includes('Epoch: [0][1/4]')) return
      asked = true
      child.kill('SIGUSR2') // which mpirun hands on
    },
  })
  assert.is(status, 130, stderr)
  assert.match(stdout, /^interrupted: epoch \d, step \d saved; go on with --resume/m)
  assert.ok(existsSync(checkpoint('stopped')))
})

withMpi('a run that diverges ends all ranks, and the last good checkpoint stays', async () => {
  const before = readFileSync(checkpoint('stopped'))
  const { status, stderr } = await trainOn(2, [...HEAD, '--lr', '1e38', '--output', output('stopped')])
  assert.is(status, 1, stderr)
  assert.match(stderr, new RegExp(`^train: rank [01] on ${hostname()}: the run has diverged: the loss is`, 'm'))
  assert.ok(readFileSync(checkpoint('stopped')).equals(before))
})

withMpi('ranks with other options are refused at start', async () => {
  const rank = (lr: string) => ['-n', '1', process.execPath, 'bin/train.js', ...HEAD, '--lr', lr, '--share-gpu', '2']
  const { status, stderr } = await runMpi([...rank('0.1'), ':', ...rank('0.2'), '--output', output('none')])
  assert.is(status, 2)
  assert.match(stderr, /train: rank 1 on .* has 0\.2 for lr, rank 0 on .* has 0\.1: start all ranks with the same/)
  assert.not.ok(existsSync(output('none')))
})

withMpi('ranks do not share an adapter unasked', async () => {
  const { status, stderr } = await runMpi(['-n', '2', process.execPath, 'bin/train.js', ...HEAD])
  assert.is(status, 2)
  assert.match(stderr, /^train: 2 ranks on .* have 1 adapter \(.*\): start fewer, or .* --share-gpu 2$/m)
})

test.after(() => rmSync(folder, { recursive: true, force: true }))
test.run()
