import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { type Device, resampleImages, scope, Tensor } from '../../../engine/index.ts'
import { imageStream } from '../../../engine/random.ts'
import { Loader, type LoaderOptions } from '../../../imagenet/data/loader.ts'
import { imageEpoch } from '../../../imagenet/data/samples.ts'
import { openFolder } from '../../../imagenet/data/sources/folder.ts'
import { carryOut, flipHorizontally, planOf } from '../../../imagenet/images/augment.ts'
import { cropTensors } from '../../../imagenet/images/crop_tensors.ts'
import { CropGatherer } from '../../../imagenet/images/crops.ts'
import { decodeFileBy } from '../../../imagenet/images/decode.ts'
import { chooseDecoder } from '../../../imagenet/images/decoder.ts'
import type { Image } from '../../../imagenet/images/image.ts'
import { resize } from '../../../imagenet/images/resample.ts'
import { testDevice } from '../../device.ts'
import { jpegOf, picture, removeFolder, temporaryFolder } from '../pictures.ts'

const test = suite('resizing on the GPU')

/** Noise, in which no pixel is like another. */
function noise(width: number, height: number, seed: number): Image {
  const random = imageStream(99, 0, seed)
  return { width, height, channels: 3, data: Uint8Array.from({ length: width * height * 3 }, () => random.next()) }
}

/** One channel, as a decoder may give it. */
const gray: Image = { width: 40, height: 30, channels: 1, data: noise(40, 10, 5).data }

async function onGpu(
  device: Device,
  crops: ReturnType<CropGatherer['finish']>,
  size: number,
  start: number,
  end: number,
) {
  const words = await scope(() => {
    const { tensors, options } = cropTensors(device, crops, size, start, end)
    return resampleImages(...tensors, options).readU32()
  })
  return new Uint8Array(words.buffer).subarray(0, (end - start) * size * size * 3)
}

test('gives the bytes that the CPU gives, for images of any size, whole batches and parts of them', async () => {
  const device = await testDevice()
  // The last but one is too large to be sent as it is.
  const sizes = [
    [1, 1],
    [1, 500],
    [500, 1],
    [33, 17],
    [64, 64],
    [500, 375],
    [21, 300],
    [900, 700],
    [200, 31],
  ] as const
  const images = [...sizes.map(([width, height], i) => noise(width, height, i)), gray]
  for (const name of ['train', 'val'] as const)
    for (const size of [1, 19, 32]) {
      const gatherer = new CropGatherer(name, size)
      const wanted: number[] = []
      for (const [i, image] of images.entries()) {
        gatherer.add(image, imageStream(1, size, i))
        const rgb = image.channels === 3 ? image : { ...image, channels: 3 as const, data: tripled(image.data) }
        wanted.push(...carryOut(planOf(name, image, size, imageStream(1, size, i)), rgb).data)
      }
      const crops = gatherer.finish()
      for (const [start, end] of [
        [0, images.length],
        [3, 4],
        [5, 9],
      ]) {
        const bytes = size * size * 3
        const given = await onGpu(device, crops, size, start, end)
        assert.equal([...given], wanted.slice(start * bytes, end * bytes), `${name} to ${size}, ${start} to ${end}`)
      }
    }
})

const tripled = (data: Uint8Array): Uint8Array =>
  Uint8Array.from({ length: data.length * 3 }, (_, i) => data[Math.floor(i / 3)])

test('of a loader’s batches gives the network the same numbers, whatever the number of workers', async () => {
  const device = await testDevice()
  const images = Object.fromEntries([...Array(7).keys()].map((i) => [`a/${i}.jpg`, jpegOf(picture(30 + i, 50, i))]))
  const files = Object.entries({ ...images, 'a/8.jpg': '' }).flatMap(([name, content]) => [
    [`train/${name}`, content],
    [`val/${name}`, content],
  ])
  const root = temporaryFolder(Object.fromEntries(files))
  const { train } = openFolder(root)
  const inputs = async (options: Partial<LoaderOptions>) => {
    const common = {
      batchSize: 3,
      imageSize: 19,
      seed: 2,
      shuffle: true,
      skipCorrupt: true,
      decoder: 'jpeg-js',
    } as const
    const loader = new Loader(train, { ...common, workers: 0, ...options })
    const all: Float32Array[] = []
    // In two parts, as micro-batches take them.
    for await (const { labels, input } of imageEpoch(loader, 1))
      for (const [start, end] of [
        [0, 1],
        [1, labels.length],
      ])
        all.push(await scope(() => input(device, start, end).read()))
    await loader.close()
    return all
  }
  for (const transform of ['train', 'val', 'digits'] as const) {
    const wanted = await inputs({ transform })
    for (const workers of [0, 2]) assert.equal(await inputs({ transform, workers, resizeOnGpu: true }), wanted)
  }
  removeFolder(root)
})

test('gives Pillow’s pixels of a photograph, as the CPU does', async () => {
  const recorded = JSON.parse(readFileSync('test/fixtures/pillow/photograph.json', 'utf8'))
  const digest = (data: Uint8Array) => createHash('sha256').update(data).digest('hex')
  if (chooseDecoder('auto') !== 'sharp') return // only sharp decodes the photograph to Pillow's very pixels
  const photograph = await decodeFileBy('sharp', 'test/fixtures/pillow/photograph.jpg')
  assert.is(digest(photograph.data), recorded.decoded)
  for (const {
    box: [left, top, width, height],
    sha256,
    flipped,
  } of recorded.crops) {
    const crop = resize(photograph, { left, top, width, height }, 224, 224)
    assert.is(digest(crop.data), sha256)
    flipHorizontally(crop)
    assert.is(digest(crop.data), flipped)
  }
  const gatherer = new CropGatherer('val', 224)
  gatherer.add(photograph, imageStream(0, 0, 0))
  const center = carryOut(planOf('val', photograph, 224, imageStream(0, 0, 0)), photograph)
  assert.is(digest(center.data), recorded.center)
  assert.is(digest(await onGpu(await testDevice(), gatherer.finish(), 224, 0, 1)), recorded.center)
})

test('refuses descriptions that are not whole', async () => {
  const device = await testDevice()
  scope(() => {
    const [pixels, filters, images] = [1, 1, 10].map((words) => Tensor.from(device, new Uint32Array(words)))
    const options = { size: 2, rows: 1, mostRows: 1 }
    assert.throws(() => resampleImages(pixels, filters, images, options), /takes 9 words for each, given 10/)
  })
})

test('pictures that are smooth stay so', async () => {
  const device = await testDevice()
  const gatherer = new CropGatherer('val', 20)
  const flat: Image = { ...picture(60, 50), data: new Uint8Array(60 * 50 * 3).fill(255) }
  gatherer.add(flat, imageStream(0, 0, 0))
  assert.ok((await onGpu(device, gatherer.finish(), 20, 0, 1)).every((byte) => byte === 255))
})

test.run()
