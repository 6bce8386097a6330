/**
 * From files to batches on the GPU: what each part of the way takes on one thread, and how many images a second come out
 * of a loader by decoder and number of threads. The images are copies of one of ImageNet's usual size.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { normalizeImages, resampleImages, scope } from '../engine/index.ts'
import { imageStream } from '../engine/random.ts'
import { FolderSource } from '../imagenet/data/sources/folder.ts'
import { transform } from '../imagenet/images/augment.ts'
import { decodeJpegBySharp } from '../imagenet/images/codecs/sharp.ts'
import { cropTensors } from '../imagenet/images/crop_tensors.ts'
import { CropGatherer } from '../imagenet/images/crops.ts'
import { decode } from '../imagenet/images/decode.ts'
import { chooseDecoder, DECODERS, type DecoderName } from '../imagenet/images/decoder.ts'
import type { Image } from '../imagenet/images/image.ts'
import { imageSamples, Loader } from '../imagenet/index.ts'
import type { Family, Group, Row, Work, Workbench } from './work.ts'

/** 500×375, JPEG of quality 90 with halved chroma, 110 kB. */
const PHOTOGRAPH = 'test/fixtures/pillow/photograph.jpg'
/** Images that are handled in one run of a work. */
const IMAGES = 16
const SIZE = 224

const READ = 'read'
const TRANSFORM = 'crop, resize, mirror'
const TRANSFER = 'transfer and normalise'
const GATHER = 'crop only'
const RESIZE_ON_GPU = 'transfer, resize, mirror and normalise on the GPU'
const decoding = (decoder: DecoderName): string => `decode, ${decoder}`

/** Those that are installed. */
const decoders = (): readonly DecoderName[] =>
  DECODERS.filter((name) => name === chooseDecoder('auto') || name === 'jpeg-js')

const decodeBy = async (decoder: DecoderName, bytes: Uint8Array): Promise<Image> =>
  decoder === 'sharp' ? decodeJpegBySharp(bytes) : decode(bytes, PHOTOGRAPH)

const group = (name: string, works: (bench: Workbench) => Work[] | Promise<Work[]>): Group => ({ name, prepare: works })

export const loaderFamily: Family = {
  name: 'loader',
  groups: () => [
    group(`the parts, one thread, ${IMAGES} images of 500×375`, parts),
    ...decoders().map((decoder) =>
      group(`batches of ${IMAGES}, ${decoder}, by threads`, (bench) =>
        threadCounts().map((threads) => loading(bench, decoder, threads)),
      ),
    ),
  ],
  conclude: (rows) => conclusion(rows),
}

/** 1, 2, 4, … up to the machine's. */
function threadCounts(): number[] {
  const most = availableParallelism()
  const powers = Array.from({ length: Math.ceil(Math.log2(most)) }, (_, i) => 2 ** i)
  return [...powers, most]
}

function parts(bench: Workbench): Work[] {
  const source = copies(bench, IMAGES)
  const files = Array.from({ length: IMAGES }, (_, i) => source.path(i))
  const bytes = readFileSync(files[0])
  const image = decode(bytes, files[0])
  const times = Array.from({ length: IMAGES }, (_, i) => i)
  const pixels = new Uint8Array(IMAGES * SIZE * SIZE * 3)
  const indices = Uint32Array.from(times)
  const batch = { pixels, shape: [IMAGES, SIZE, SIZE, 3], labels: indices, indices, size: IMAGES } as const
  const augment = (i: number) => transform('train', image, SIZE, imageStream(0, 0, i)).data
  const gather = () => {
    const gatherer = new CropGatherer('train', SIZE)
    for (const i of times) gatherer.add(image, imageStream(0, 0, i))
    return gatherer.finish()
  }
  const crops = gather()
  const onGpu = () => {
    const { tensors, options } = cropTensors(bench.device, crops, SIZE, 0, IMAGES)
    return resampleImages(...tensors, options)
  }
  const normalisation = { shape: batch.shape, mean: source.mean, std: source.std }
  const nothingToCheck = async () => {}
  return [
    { name: READ, images: IMAGES, run: () => files.map((file) => readFileSync(file).length), check: nothingToCheck },
    ...decoders().map((decoder) => ({
      name: decoding(decoder),
      images: IMAGES,
      // One after the other: a promise each would be several threads at work.
      run: async () => {
        for (const _ of files) await decodeBy(decoder, bytes)
      },
      check: async () => near((await decodeBy(decoder, bytes)).data, image.data, 3),
    })),
    { name: TRANSFORM, images: IMAGES, run: () => times.map(augment).length, check: nothingToCheck },
    {
      name: TRANSFER,
      images: IMAGES,
      run: () => imageSamples(batch, source).input(bench.device, 0, IMAGES),
      check: nothingToCheck,
    },
    { name: GATHER, images: IMAGES, run: () => gather().pixels.length, check: nothingToCheck },
    {
      name: RESIZE_ON_GPU,
      images: IMAGES,
      against: TRANSFORM,
      run: () => normalizeImages(onGpu(), normalisation),
      check: async () =>
        near(new Uint8Array((await scope(() => onGpu().readU32())).buffer), concat(times.map(augment)), 0),
    },
  ]
}

function loading(bench: Workbench, decoder: DecoderName, threads: number): Work {
  // So many that each thread has several batches, and that the first ones do not count for much.
  const images = IMAGES * threads * 4
  const source = copies(bench, images)
  const options = { batchSize: IMAGES, imageSize: SIZE, seed: 0, shuffle: true, decoder }
  const loader = new Loader(source, { ...options, workers: threads })
  bench.whenDone(() => void loader.close())
  let epoch = 0
  return {
    name: `-j ${threads}`,
    images,
    run: async () => {
      for await (const _ of loader.epoch(epoch++));
    },
    check: async () => {
      const alone = new Loader(source, { ...options, workers: 0 })
      const [{ value: wanted }, { value: given }] = await Promise.all([alone, loader].map((l) => l.epoch(0).next()))
      if (!wanted || !given) throw new Error('an epoch without batches')
      near(given.pixels, wanted.pixels, 0)
    },
  }
}

/** Copies of the photograph in a folder that is removed when the group is done. */
function copies(bench: Workbench, count: number): FolderSource {
  const folder = mkdtempSync(join(tmpdir(), 'kakuritsu-bench-'))
  bench.whenDone(() => rmSync(folder, { recursive: true, force: true }))
  const bytes = readFileSync(PHOTOGRAPH)
  const files = Array.from({ length: count }, (_, i) => `${i}.jpg`)
  for (const file of files) writeFileSync(join(folder, file), bytes)
  return new FolderSource({ folder, classes: ['photograph'], files, labels: new Uint32Array(count) }, 'train')
}

const concat = (parts: readonly Uint8Array[]): Uint8Array => Uint8Array.from(parts.flatMap((part) => [...part]))

function near(given: Uint8Array, wanted: Uint8Array, levels: number): void {
  const wrong = wanted.findIndex((byte, i) => !(Math.abs(byte - given[i]) <= levels))
  if (wrong !== -1) throw new Error(`byte ${wrong} is ${given[wrong]}, wanted ${wanted[wrong]}`)
}

/**
 * What a fast GPU would take, assumed: an H100 does 67 TFLOP/s in f32 without its tensor cores (NVIDIA's data sheet), our
 * kernels get half of that, and ResNet-152 takes 11.5 billion multiply-adds an image forward (torchvision's table).
 */
const H100 = { flops: 67e12, share: 0.5, forward: 2 * 11.5e9 }

/** How many of this machine's cores would feed it. */
function conclusion(rows: readonly Row[]): string[] {
  const secondsOf = (work: string) => {
    const row = rows.find((row) => row.work === work)
    return row ? row.seconds / IMAGES : Number.NaN
  }
  const rate = (H100.flops * H100.share) / H100.forward
  const lines = decoders().map((decoder) => {
    const each = secondsOf(READ) + secondsOf(decoding(decoder)) + secondsOf(TRANSFORM)
    return `  ${decoder}: ${(each * 1e3).toFixed(2)} ms of a core an image, ${Math.ceil(each * rate)} cores`
  })
  const assumed = `${rate.toFixed(0)} images/s (assumed: half of its 67 TFLOP/s in f32)`
  return [`An H100 that runs ResNet-152 forward on ${assumed} takes`, ...lines, '  of this machine, to be fed.']
}
