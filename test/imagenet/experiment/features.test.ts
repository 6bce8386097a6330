import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { openMnist } from '../../../imagenet/data/sources/mnist.ts'
import { openBase } from '../../../imagenet/experiment/base.ts'
import { openFeatures } from '../../../imagenet/experiment/features.ts'
import { ExperimentFolder } from '../../../imagenet/experiment/folder.ts'
import type { Features } from '../../../imagenet/experiment/study.ts'
import { testDevice } from '../../device.ts'
import { removeFolder, temporaryFolder } from '../pictures.ts'
import { SETTINGS } from './made_up.ts'

const test = suite('experiment: base and features')
const path = temporaryFolder()

async function open(stopped = () => false) {
  const device = await testDevice()
  const settings = { ...SETTINGS, classes: 10, baseSteps: 1 }
  const reading = { workers: 0, decoder: 'jpeg-js', skipCorrupt: false } as const
  const options = { settings, dataset: openMnist(), folder: new ExperimentFolder(path), reading, stopped }
  const base = await openBase(device, options)
  const features = base && (await openFeatures(device, base, options))
  base?.free()
  return { base, features }
}

/** Each row's first feature and label, in order. */
async function rowsOf(features: Features, epoch?: { seed: number; epoch: number }): Promise<string[]> {
  const device = await testDevice()
  const rows: string[] = []
  for await (const { labels, input } of features.batches(epoch)) {
    const values = await input(device, 0, labels.length).read()
    for (const [i, label] of labels.entries()) rows.push(`${label} ${values[i * features.width]}`)
  }
  return rows
}

test('stopped, it leaves nothing half made', async () => {
  assert.equal(await open(() => true), { base: null, features: null })
  assert.is(new ExperimentFolder(path).base(), null)
})

test('every seed has orders of its own, of the same images', async () => {
  const { train, val } = (await open()).features!
  assert.equal([train.length, train.width, train.steps], [40, 512, 3])
  const orders = []
  for (const seed of [0, 1, 2]) for (const epoch of [0, 1, 2]) orders.push(await rowsOf(train, { seed, epoch }))
  assert.is(new Set(orders.map(String)).size, 9)
  for (const order of orders) assert.equal([...order].sort(), [...orders[0]].sort())
  assert.is((await rowsOf(val)).length, 30)
  train.close()
  val.close()
})

test('base and features are taken up again', async () => {
  const before = (await open()).features!
  const [first, { acc1, seconds }] = [await rowsOf(before.val), new ExperimentFolder(path).base()!]
  assert.ok(acc1! >= 0 && seconds! > 0)
  const again = (await open()).features!
  assert.equal(await rowsOf(again.val), first)
  assert.is(new ExperimentFolder(path).base()!.seconds, seconds)
  for (const features of [before, again]) for (const half of [features.train, features.val]) half.close()
})

test.after(() => removeFolder(path))
test.run()
