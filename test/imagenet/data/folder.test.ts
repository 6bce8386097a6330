/** A small ImageFolder of all that a folder of photographs may hold, from files to batches. */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { Loader } from '../../../imagenet/data/loader.ts'
import { openFolder } from '../../../imagenet/data/sources/folder.ts'
import { openMnist } from '../../../imagenet/data/sources/mnist.ts'
import { chooseDecoder, type DecoderName } from '../../../imagenet/images/decoder.ts'
import { toRgb } from '../../../imagenet/images/image.ts'
import { jpegOf, picture, pngOf, removeFolder, temporaryFolder } from '../pictures.ts'

const test = suite('a folder of everything')
const FIXTURES = 'test/fixtures/pillow'
const SIZE = 56

/** Files that Pillow wrote, by name, but for those that it refuses. */
function recorded(): Record<string, Uint8Array> {
  const entries = ['decode', 'more'].flatMap((name) => JSON.parse(readFileSync(`${FIXTURES}/${name}.json`, 'utf8')))
  const whole = entries.filter(({ name, rgb }) => rgb && !/marker|wrong/.test(name))
  return Object.fromEntries(whole.map(({ name, file }) => [`${name}.JPEG`, Buffer.from(file, 'base64')]))
}

function writeFolder(): string {
  const { val } = openMnist()
  const digits = Object.fromEntries([...Array(6).keys()].map((i) => [`${i}.jpg`, jpegOf(toRgb(val.image(i)))]))
  const odd: Record<string, Uint8Array> = {
    '1×1.jpg': jpegOf(picture(1, 1)),
    '1×500.jpg': jpegOf(picture(1, 500)),
    '500×1.jpg': jpegOf(picture(500, 1)),
    '500×375.jpg': readFileSync(`${FIXTURES}/photograph.jpg`),
    '4000×3000.jpg': readFileSync(`${FIXTURES}/large.jpg`),
    'n02105855_2933.JPEG': pngOf(picture(50, 40)),
  }
  const classes = { digits, odd, recorded: recorded() }
  const files = Object.entries(classes).flatMap(([name, images]) =>
    Object.entries(images).flatMap(([file, content]) =>
      ['train', 'val'].map((split) => [`${split}/${name}/${file}`, content]),
    ),
  )
  return temporaryFolder(Object.fromEntries(files))
}

/** The pixels of each of an epoch's images, by the path of its file. */
async function epochOf(root: string, split: 'train' | 'val', decoder: DecoderName, workers: number) {
  const source = openFolder(root)[split]
  const loader = new Loader(source, { batchSize: 8, imageSize: SIZE, seed: 1, shuffle: true, workers, decoder })
  const images = new Map<string, Uint8Array>()
  const bytes = SIZE * SIZE * 3
  for await (const { indices, pixels } of loader.epoch(2))
    for (const [i, index] of indices.entries())
      images.set(source.path!(index).slice(root.length + 1), pixels.subarray(i * bytes, (i + 1) * bytes))
  await loader.close()
  assert.is(images.size, source.length)
  return images
}

/** Colours may be 3 levels off (see decode.test.ts), YCCK 4; resizing averages them. */
const JPEG_JS_OFF = 4

test('comes out of a loader alike from both decoders and any number of workers', async () => {
  const root = writeFolder()
  const portable = await epochOf(root, 'val', 'jpeg-js', 2)
  if (chooseDecoder('auto') === 'sharp')
    for (const split of ['train', 'val'] as const) {
      const images = await epochOf(root, split, 'sharp', 2)
      const inOneThread = await epochOf(root, split, 'sharp', 0)
      for (const [file, pixels] of images) assert.equal(pixels, inOneThread.get(file), file)
      if (split === 'train') continue
      for (const [file, pixels] of images) {
        const other = portable.get(file)!
        const off = pixels.reduce((most, byte, i) => Math.max(most, Math.abs(byte - other[i])), 0)
        assert.ok(off <= JPEG_JS_OFF, `${file}: off by ${off}`)
      }
      const large = createHash('sha256').update(images.get('val/odd/4000×3000.jpg')!).digest('hex')
      assert.is(large, JSON.parse(readFileSync(`${FIXTURES}/large.json`, 'utf8')).center, 'Pillow’s own')
    }
  removeFolder(root)
})

test.run()
