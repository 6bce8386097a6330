import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { newStopFlag } from '../../../imagenet/data/job.ts'
import { type Batch, Loader, type LoaderOptions } from '../../../imagenet/data/loader.ts'
import { DecodePool } from '../../../imagenet/data/pool.ts'
import { openDummy } from '../../../imagenet/data/sources/dummy.ts'
import { openFolder } from '../../../imagenet/data/sources/folder.ts'
import { openMnist } from '../../../imagenet/data/sources/mnist.ts'
import type { Source } from '../../../imagenet/data/sources/source.ts'
import { DecodeError } from '../../../imagenet/errors.ts'
import { jpegOf, picture, pngOf, removeFolder, temporaryFolder } from '../pictures.ts'

const SIZES: readonly [width: number, height: number][] = [
  [1, 1],
  [1, 500],
  [500, 375],
  [33, 17],
  [20, 20],
]

/** 23 pictures of three classes in odd sizes, every fourth a PNG named .JPEG. */
function writePictures(): string {
  const files: Record<string, Uint8Array> = {}
  for (let i = 0; i < 23; i++) {
    const image = picture(...(SIZES[i] ?? [20 + i, 30]), i)
    files[`train/class ${i % 3}/${i}.JPEG`] = i % 4 === 3 ? pngOf(image) : jpegOf(image)
  }
  files['val/class 1/0.jpg'] = jpegOf(picture(64, 48))
  return temporaryFolder(files)
}

const root = writePictures()
const { train } = openFolder(root)

const OPTIONS: LoaderOptions = { batchSize: 5, imageSize: 21, seed: 7, shuffle: true, workers: 0 }

/** Runs `use` with a loader and closes it. */
async function loading<T>(source: Source, options: LoaderOptions, use: (loader: Loader) => Promise<T>): Promise<T> {
  const loader = new Loader(source, options)
  try {
    return await use(loader)
  } finally {
    await loader.close()
  }
}

const batches = (epoch: number, options: Partial<LoaderOptions> = {}, fromStep = 0): Promise<Batch[]> =>
  loading(train, { ...OPTIONS, ...options }, async (loader) => {
    const all: Batch[] = []
    for await (const batch of loader.epoch(epoch, { fromStep })) all.push(batch)
    return all
  })

const loader = suite('loader')

loader('gives every image once an epoch, in batches, the last one partial', async () => {
  const all = await batches(0)
  assert.equal(
    all.map(({ size }) => size),
    [5, 5, 5, 5, 3],
  )
  for (const { shape, pixels, labels, indices, size } of all) {
    assert.equal(shape, [size, 21, 21, 3])
    assert.is(pixels.length, Math.ceil((size * 21 * 21 * 3) / 4) * 4)
    assert.equal(
      [...labels],
      Array.from(indices, (index) => train.label(index)),
    )
  }
  const indices = all.flatMap((batch) => [...batch.indices])
  assert.not.equal(
    indices,
    [...indices].sort((a, b) => a - b),
  )
  assert.equal(
    indices.sort((a, b) => a - b),
    Array.from({ length: 23 }, (_, i) => i),
  )
})

loader('gives the same batches with any number of workers', async () => {
  const reference = await batches(3)
  for (const workers of [1, 3]) assert.equal(await batches(3, { workers }), reference)
})

loader('resumes within an epoch as if the steps before had been taken', async () => {
  const reference = await batches(2)
  for (const workers of [0, 2])
    for (const fromStep of [1, 4, 5]) assert.equal(await batches(2, { workers }, fromStep), reference.slice(fromStep))
})

loader('draws order and augmentation anew for each epoch and seed', async () => {
  const [first] = await batches(0)
  for (const [other] of [await batches(1), await batches(0, { seed: 8 })]) {
    assert.not.equal(other.indices, first.indices)
    assert.not.equal(other.pixels, first.pixels)
  }
  const [inOrder] = await batches(0, { shuffle: false })
  const [nextEpoch] = await batches(1, { shuffle: false })
  assert.equal([...inOrder.indices], [0, 1, 2, 3, 4])
  assert.not.equal(nextEpoch.pixels, inOrder.pixels)
  // Without augmentation epochs are alike.
  const [plain] = await batches(0, { shuffle: false, transform: 'val' })
  assert.equal((await batches(1, { shuffle: false, transform: 'val' }))[0], plain)
})

loader('limits an epoch to images that are evenly spaced over the source', async () => {
  const all = await batches(0, { limit: 6, shuffle: false })
  assert.equal(
    all.flatMap((batch) => [...batch.indices]),
    [0, 3, 7, 11, 15, 19],
  )
  assert.equal(new Set(all.flatMap((batch) => [...batch.labels])), new Set([0, 1, 2]))
  const shuffled = await batches(0, { limit: 6 })
  assert.equal(new Set(shuffled.flatMap((batch) => [...batch.indices])), new Set([0, 3, 7, 11, 15, 19]))
  assert.is((await batches(0, { limit: 1000 })).length, 5)
})

loader('can be left early and used again', async () => {
  for (const workers of [0, 2])
    await loading(train, { ...OPTIONS, workers }, async (loader) => {
      for await (const { indices } of loader.epoch(0)) {
        assert.is(indices.length, 5)
        break
      }
      let steps = 0
      for await (const _ of loader.epoch(1)) steps++
      assert.is(steps, loader.steps)
    })
})

loader('prepares no more than a few batches ahead', async () => {
  // Each batch asks for the paths of its files when it is started.
  const asked: number[] = []
  const watched: Source = {
    ...{ name: train.name, classes: train.classes, length: train.length, channels: 3, transform: 'val' },
    ...{ mean: train.mean, std: train.std },
    label: (index) => train.label(index),
    image: (index) => train.image(index),
    fingerprint: (indices) => train.fingerprint(indices),
    path: (index) => {
      asked.push(index)
      return train.path!(index)
    },
  }
  await loading(watched, { ...OPTIONS, batchSize: 1, workers: 2 }, async (loader) => {
    const epoch = loader.epoch(0)
    await epoch.next()
    assert.is(asked.length, 4)
    await epoch.next()
    assert.is(asked.length, 5)
    await epoch.return()
  })
})

loader('stops the work that is no longer wanted', async () => {
  const pool = new DecodePool(1)
  const stop = newStopFlag()
  const recipe = {
    transform: 'val',
    imageSize: 21,
    channels: 3,
    seed: 0,
    decoder: 'jpeg-js',
    skipCorrupt: false,
    resizeOnGpu: false,
  } as const
  const indices = Uint32Array.of(0, 1)
  const paths = ['/no/such/file', '/no/such/file']
  const outcomes = [0, 1].map(() => pool.run({ recipe, view: 0, indices, paths, stop }).catch(({ message }) => message))
  Atomics.store(stop, 0, 1)
  for (const outcome of outcomes) assert.match(await outcome, 'the batch is no longer wanted')
  await pool.close()
})

loader('ends a wait for a batch when it is closed', async () => {
  const loader = new Loader(train, { ...OPTIONS, workers: 1 })
  const ended = loader
    .epoch(0)
    .next()
    .then(
      () => 'a batch',
      (error: Error) => error.message,
    )
  await loader.close()
  assert.is(await ended, 'the image loader has been closed')
})

loader('stops at a file that cannot be decoded, with its name', async () => {
  const files = Object.fromEntries([0, 1, 2, 3].map((i) => [`train/a/${i}.jpg`, jpegOf(picture(9, 9, i))]))
  const folder = temporaryFolder({ ...files, 'val/a/0.jpg': jpegOf(picture(9, 9)) })
  const bad = join(folder, 'train/a/2.jpg')
  writeFileSync(bad, 'not a picture')
  for (const workers of [0, 2])
    await loading(openFolder(folder).train, { ...OPTIONS, batchSize: 1, shuffle: false, workers }, async (loader) => {
      const seen: number[] = []
      try {
        for await (const { indices } of loader.epoch(0)) seen.push(...indices)
        assert.unreachable('the file was decoded')
      } catch (error) {
        assert.instance(error, DecodeError)
        assert.is((error as DecodeError).file, bad)
        assert.ok((error as DecodeError).message.startsWith(`cannot decode ${bad}: it is neither JPEG nor PNG`))
      }
      assert.equal(seen, [0, 1])
    })
  removeFolder(folder)
})

loader('leaves such files out when told to, notes them, and gives the others as they would have been', async () => {
  const files = Object.fromEntries([...Array(11).keys()].map((i) => [`a/${i + 10}.jpg`, jpegOf(picture(30, 20, i))]))
  const bad = [1, 4, 5, 6, 7].map((i) => `a/${i + 10}.jpg`)
  const damaged = { ...files, ...Object.fromEntries(bad.map((name) => [name, 'not a picture'])) }
  const sources = [files, damaged].map((images) => {
    const root = temporaryFolder(
      Object.fromEntries(
        ['train', 'val'].flatMap((s) => Object.entries(images).map(([name, c]) => [`${s}/${name}`, c])),
      ),
    )
    return { root, source: openFolder(root).train }
  })
  const imageBytes = 21 * 21 * 3
  const epoch = (source: Source, workers: number, options: Partial<LoaderOptions>) =>
    loading(source, { ...OPTIONS, ...options, batchSize: 4, workers }, async (loader) => {
      const all: Batch[] = []
      for await (const batch of loader.epoch(0)) all.push(batch)
      return { all, skipped: loader.skipped }
    })
  for (const shuffle of [false, true]) {
    const whole = await epoch(sources[0].source, 0, { shuffle })
    for (const workers of [0, 2]) {
      const { all, skipped } = await epoch(sources[1].source, workers, { shuffle, skipCorrupt: true })
      assert.equal([...skipped.keys()].sort(), bad.map((name) => join(sources[1].root, 'train', name)).sort())
      for (const reason of skipped.values()) assert.match(reason, /neither JPEG nor PNG/)
      // In order, the second batch holds no image that can be decoded.
      if (!shuffle)
        assert.equal(
          all.map(({ size }) => size),
          [3, 0, 3],
        )
      for (const [i, { indices, labels, pixels, size }] of all.entries()) {
        const kept = [...whole.all[i].indices.keys()].filter((place) => indices.includes(whole.all[i].indices[place]))
        assert.equal(
          [...indices],
          kept.map((place) => whole.all[i].indices[place]),
        )
        assert.equal(
          [size, labels.length, pixels.length],
          [kept.length, kept.length, Math.ceil((size * imageBytes) / 4) * 4],
        )
        for (const [made, place] of kept.entries())
          assert.equal(
            pixels.subarray(made * imageBytes, (made + 1) * imageBytes),
            whole.all[i].pixels.subarray(place * imageBytes, (place + 1) * imageBytes),
          )
      }
    }
  }
  for (const { root } of sources) removeFolder(root)
})

loader('takes the augmentations of a number of views in turn', async () => {
  const pixelsOf = async (epoch: number, views?: number) => {
    const byIndex = new Map<number, Uint8Array>()
    for (const { indices, pixels } of await batches(epoch, { views, shuffle: false }))
      for (const [i, index] of indices.entries()) byIndex.set(index, pixels.slice(i * 1323, (i + 1) * 1323))
    return byIndex
  }
  const drawn = [await pixelsOf(0), await pixelsOf(1)]
  for (const epoch of [0, 1, 2, 5]) assert.equal(await pixelsOf(epoch, 2), drawn[epoch % 2])
  // The order stays the epoch's own.
  const [zero] = await batches(0, { views: 2 })
  const [two] = await batches(2, { views: 2 })
  assert.not.equal(zero.indices, two.indices)
})

loader('serves sources without files', async () => {
  const { val } = openMnist()
  await loading(val, { ...OPTIONS, imageSize: 32, limit: 7, workers: 4 }, async (loader) => {
    assert.is(loader.steps, 2)
    for await (const { shape, size } of loader.epoch(0)) assert.equal(shape, [size, 32, 32, 3])
  })
  await loading(val, { ...OPTIONS, imageSize: 28, shuffle: false, transform: 'none' }, async (loader) => {
    const { value } = await loader.epoch(0).next()
    assert.equal((value as Batch).shape, [5, 28, 28, 1])
    assert.equal((value as Batch).pixels.subarray(784, 2 * 784), new Uint8Array(val.image(1).data))
  })
  const dummy = openDummy(16).train
  await loading(dummy, { ...OPTIONS, imageSize: 16 }, async (loader) => {
    assert.is(loader.steps, Math.ceil(1_281_167 / 5))
    for await (const { pixels, indices } of loader.epoch(0, { fromStep: loader.steps - 1 })) {
      assert.is(indices.length, 1_281_167 % 5)
      assert.equal(pixels.subarray(0, 768), dummy.image(indices[0]).data)
    }
  })
})

loader('refuses options that make no sense', () => {
  assert.throws(
    () => new Loader(train, { ...OPTIONS, batchSize: 0 }),
    /batchSize of a loader is a whole number from 1, given 0/,
  )
  assert.throws(() => new Loader(train, { ...OPTIONS, workers: 1.5 }), /workers of a loader is a whole number from 0/)
})

loader.after(() => removeFolder(root))
loader.run()
