import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { adaptiveAvgPool2d, type Device, flatten, relu, scope, type Tensor } from '../../../../engine/index.ts'
import { CachedFeatures, weightsDigest } from '../../../../imagenet/data/features/index.ts'
import { Loader, type LoaderOptions } from '../../../../imagenet/data/loader.ts'
import { imageSamples } from '../../../../imagenet/data/samples.ts'
import { openFolder } from '../../../../imagenet/data/sources/folder.ts'
import { openMnist } from '../../../../imagenet/data/sources/mnist.ts'
import type { Source } from '../../../../imagenet/data/sources/source.ts'
import { BatchNorm2d, Conv2d, Module } from '../../../../nn/index.ts'
import { testDevice } from '../../../device.ts'
import { jpegOf, picture, removeFolder, temporaryFolder } from '../../pictures.ts'

/** A frozen base that takes no time. */
class SmallBase extends Module {
  readonly features = 6
  conv = new Conv2d(3, 6, 3)
  bn = new BatchNorm2d(6)

  forward(x: Tensor): Tensor {
    return flatten(adaptiveAvgPool2d(relu(this.bn.call(this.conv.call(x))), [1, 1]))
  }
}

const smallBase = (device: Device, seed = 1): SmallBase => {
  const base = new SmallBase().to(device, { seed }).eval()
  base.requiresGrad(false)
  return base
}

const { train, val } = openMnist()
const LOADER: LoaderOptions = { batchSize: 7, imageSize: 20, seed: 3, workers: 0, shuffle: true, limit: 40 }
const AUGMENTED: LoaderOptions = { ...LOADER, transform: 'train', views: 2 }

interface Rows {
  labels: number[][]
  features: Float32Array[]
}

/** What an epoch gives without a cache. */
async function uncached(device: Device, base: SmallBase, loader: Loader, epoch: number, fromStep = 0): Promise<Rows> {
  const rows: Rows = { labels: [], features: [] }
  for await (const batch of loader.epoch(epoch, { fromStep })) {
    const { input, labels } = imageSamples(batch, loader.source)
    rows.labels.push([...labels])
    rows.features.push(await scope(() => base.call(input(device, 0, labels.length)).read()))
  }
  return rows
}

async function taken(device: Device, cached: CachedFeatures, epoch: number, fromStep = 0): Promise<Rows> {
  const rows: Rows = { labels: [], features: [] }
  for await (const { input, labels } of cached.epoch(epoch, { fromStep })) {
    rows.labels.push([...labels])
    rows.features.push(await scope(() => input(device, 0, labels.length).read()))
  }
  return rows
}

interface Use {
  device: Device
  base: SmallBase
  loader: Loader
  cached: CachedFeatures
  said: string[]
}

const folder = temporaryFolder()

/** Opens a cache in `name`, runs `use` and closes it. */
async function caching<T>(
  name: string,
  options: { source?: Source; loader?: LoaderOptions; seed?: number },
  use: (given: Use) => Promise<T>,
): Promise<T> {
  const device = await testDevice()
  const base = smallBase(device, options.seed)
  const loader = new Loader(options.source ?? train, options.loader ?? AUGMENTED)
  const said: string[] = []
  const say = (line: string) => said.push(line.replaceAll(folder, 'ROOT'))
  const weights = await weightsDigest(base)
  const cached = new CachedFeatures(device, base, loader, { folder: join(folder, name), name: 'train', weights, say })
  try {
    return await use({ device, base, loader, cached, said })
  } finally {
    cached.close()
    base.free()
    await loader.close()
  }
}

const test = suite('cached features')

test('are those of the uncached epochs with the same views, bit for bit', async () => {
  const check = async ({ device, base, loader, cached }: Use) => {
    for (const epoch of [0, 1, 2, 5])
      assert.equal(await taken(device, cached, epoch), await uncached(device, base, loader, epoch))
    assert.equal(await taken(device, cached, 1, 4), await uncached(device, base, loader, 1, 4))
  }
  await caching('same', {}, check)
  // The cache was made with other batches.
  await caching('same', { loader: { ...AUGMENTED, batchSize: 16 } }, async (use) => {
    await check(use)
    assert.match(use.said[0], /^features of train view 0: 40 from ROOT\/same\/train-view-0-/)
  })
})

test('of each view are computed once', async () => {
  const run = async ({ device, cached, said }: Use) => {
    for (const epoch of [0, 1, 2, 3]) await taken(device, cached, epoch)
    return said.map((line) => line.replace(/-\w{16}\./, '-KEY.'))
  }
  assert.equal(await caching('once', {}, run), [
    'features of train view 0: computing 40 of 40',
    'features of train view 1: computing 40 of 40',
  ])
  assert.equal(await caching('once', {}, run), [
    'features of train view 0: 40 from ROOT/once/train-view-0-KEY.f32',
    'features of train view 1: 40 from ROOT/once/train-view-1-KEY.f32',
  ])
})

test('are computed anew when weights, images, transform, seed or size are others', async () => {
  const firstLine = ({ device, cached, said }: Use) => taken(device, cached, 0).then(() => said[0])
  await caching('stale', {}, firstLine)
  for (const changed of [
    { seed: 2 },
    { source: val },
    { loader: { ...AUGMENTED, imageSize: 21 } },
    { loader: { ...AUGMENTED, seed: 4 } },
    { loader: { ...AUGMENTED, limit: 39 } },
  ]) {
    const line = await caching('stale', changed, firstLine)
    assert.match(line, /^features of train.*: computing (40 of 40|39 of 39); files in ROOT\/stale are of other weights/)
  }
  assert.match(await caching('stale', {}, firstLine), /^features of train view 0: 40 from/)
  // Nothing is drawn for validation, so no seed counts.
  await caching('plain', { loader: LOADER }, firstLine)
  assert.match(await caching('plain', { loader: { ...LOADER, seed: 9 } }, firstLine), /^features of train: 40 from/)
})

test('that are damaged are computed anew', async () => {
  const run = async ({ device, base, loader, cached, said }: Use) => {
    assert.equal(await taken(device, cached, 0), await uncached(device, base, loader, 0))
    return said[0]
  }
  await caching('damaged', {}, run)
  const file = readdirSync(join(folder, 'damaged')).find((name) => name.endsWith('.f32'))!
  const bytes = readFileSync(join(folder, 'damaged', file))
  bytes[bytes.length - 1] ^= 1
  writeFileSync(join(folder, 'damaged', file), bytes)
  assert.is(await caching('damaged', {}, run), 'features of train view 0: computing 40 of 40; 1 chunks were damaged')
})

test('stop where they are asked to, and go on later', async () => {
  // Two chunks: the first is stored when the computation is stopped within the second.
  const loader = { ...LOADER, batchSize: 64, imageSize: 8, limit: 1500 }
  await caching('stopped', { loader }, async ({ cached }) => {
    let asked = 0
    for await (const _ of cached.epoch(0, { stopped: () => ++asked > 20 })) assert.unreachable('an epoch of a part')
  })
  await caching('stopped', { loader }, async (use) => {
    const { device, base, cached, said } = use
    assert.equal(await taken(device, cached, 0), await uncached(device, base, use.loader, 0))
    assert.equal(said, ['features of train: computing 476 of 1500'])
  })
})

test('leave out what could not be decoded, as the uncached epochs do', async () => {
  const pictures = Object.fromEntries([...Array(9).keys()].map((i) => [`a/${i}.jpg`, jpegOf(picture(24, 24, i))]))
  const images = { ...pictures, 'a/3.jpg': 'no picture', 'a/8.jpg': '' }
  const root = temporaryFolder(
    Object.fromEntries(
      ['train', 'val'].flatMap((split) => Object.entries(images).map(([k, v]) => [`${split}/${k}`, v])),
    ),
  )
  const source = openFolder(root).train
  const loader: LoaderOptions = { ...AUGMENTED, batchSize: 4, limit: undefined, skipCorrupt: true, decoder: 'jpeg-js' }
  for (const _ of ['computed', 'read'])
    await caching('skipped', { source, loader }, async ({ device, base, loader, cached }) => {
      const rows = await taken(device, cached, 2)
      assert.equal([...loader.skipped.keys()].sort(), [join(root, 'train/a/3.jpg'), join(root, 'train/a/8.jpg')])
      assert.equal(rows, await uncached(device, base, loader, 2))
      assert.is(rows.labels.flat().length, 7)
    })
  removeFolder(root)
})

test('want a base in eval mode and a number of views', async () => {
  const device = await testDevice()
  const base = smallBase(device)
  const options = { folder, name: 'x', weights: '' }
  const endless = new Loader(train, { ...AUGMENTED, views: undefined })
  assert.throws(() => new CachedFeatures(device, base, endless, options), /want a loader with a number of views/)
  base.train()
  const loader = new Loader(train, AUGMENTED)
  assert.throws(() => new CachedFeatures(device, base, loader, options), /call base\.eval\(\) first/)
  base.free()
})

test.after(() => removeFolder(folder))
test.run()
