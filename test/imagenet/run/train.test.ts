/** Whole runs within this process: what the input pipeline's options make of them. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { DecodeError, UsageError } from '../../../imagenet/errors.ts'
import { openDevice } from '../../../imagenet/gpu/open.ts'
import { DEFAULTS, type TrainOptions } from '../../../imagenet/run/options.ts'
import { train } from '../../../imagenet/run/train.ts'
import { contents, linesOf } from '../../bin/commands.ts'
import { jpegOf, picture, removeFolder, temporaryFolder } from '../pictures.ts'
import { CHECKPOINT, SMALL } from '../small_run.ts'

const test = suite('train: images')
const folder = temporaryFolder()

const COMMON: Partial<TrainOptions> = {
  ...{ base: 'resnet18', imageSize: 32, batchSize: 4, seed: 5, workers: 1, printFreq: 1 },
  ...{ freeze: true, freezeBn: true },
}

/** Runs `train` with its output in `name`; returns what it printed. */
async function run(name: string, options: Partial<TrainOptions>): Promise<string> {
  const lines: string[] = []
  const { log } = console
  console.log = (line: string) => lines.push(line)
  try {
    const all = { ...DEFAULTS, ...COMMON, output: join(folder, name), ...options }
    const status = await train(
      { options: all, given: new Set(Object.keys(all) as (keyof TrainOptions)[]) },
      openDevice,
      SMALL,
    )
    assert.is(status, 0)
  } finally {
    console.log = log
  }
  return lines.join('\n')
}

/** Nine pictures of two classes, and two to validate with. */
function writePictures(): string {
  const files: Record<string, Uint8Array> = {}
  for (let i = 0; i < 9; i++) files[`train/${i % 2 ? 'cat' : 'dog'}/${i}.jpg`] = jpegOf(picture(40 + i, 50, i))
  for (const name of ['cat', 'dog']) files[`val/${name}/0.jpg`] = jpegOf(picture(50, 40, 20))
  return temporaryFolder(files)
}

const metrics = (name: string) =>
  linesOf(join(folder, name, 'metrics.jsonl')).map(({ images_per_s: _, ...rest }) => rest)

test('a head on cached features ends with the bits of a run without the cache', async () => {
  const dir = writePictures()
  const views: Partial<TrainOptions> = { dir, epochs: 3, views: 2 }
  const cached = { ...views, cacheFeatures: join(folder, 'cache') }
  const plain = await run('plain', views)
  assert.match(plain, /^Images: decoded by (sharp|jpeg-js).* in 1 thread/m)
  const first = await run('first', cached)
  assert.match(first, /^features of train view 1: computing 9 of 9$/m)
  assert.equal(contents(join(folder, 'first', CHECKPOINT)).tensors, contents(join(folder, 'plain', CHECKPOINT)).tensors)
  assert.equal(metrics('first'), metrics('plain'))
  // To evaluate wants no training images.
  const again = await run('again', { ...cached, evaluate: true })
  assert.match(again, /^features of val: 2 from/m)
  assert.not.match(again, /computing|features of train/)
  removeFolder(dir)
})

test('a file that cannot be decoded ends a run with its name; --skip-corrupt leaves it out and lists it', async () => {
  const dir = writePictures()
  const bad = join(dir, 'train/dog/4.jpg')
  writeFileSync(bad, readFileSync(bad).subarray(0, 300))
  await run('stopped', { dir, epochs: 1 }).then(
    () => assert.unreachable('the file was decoded'),
    (error) => assert.ok(error instanceof DecodeError && error.file === bad, error.message),
  )
  const printed = await run('skipping', { dir, epochs: 1, skipCorrupt: true })
  assert.match(printed, /^1 files that cannot be decoded were left out; summary\.json lists them$/m)
  const { skipped } = JSON.parse(readFileSync(join(folder, 'skipping/summary.json'), 'utf8'))
  assert.is(skipped.length, 1)
  assert.is(skipped[0].file, bad)
  assert.match(skipped[0].reason, /ends early|damaged/)
  removeFolder(dir)
})

test('features are kept of a base only that stays as it is', async () => {
  const refused = (options: Partial<TrainOptions>, message: RegExp) =>
    run('refused', { dir: 'mnist', cacheFeatures: folder, ...options }).then(
      () => assert.unreachable('the options were accepted'),
      (error) => assert.ok(error instanceof UsageError && message.test(error.message), error.message),
    )
  await refused({ freezeBn: false, views: 1 }, /add --freeze-bn/)
  await refused({}, /wants --views K/)
})

test.after(() => removeFolder(folder))
test.run()
