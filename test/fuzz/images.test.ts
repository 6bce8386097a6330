/**
 * Damaged images: whatever happened to a file, decoding it ends soon, in pixels as its size says or in a DecodeError, and
 * takes no memory that the file does not stand for.
 */
import { readdirSync, readFileSync } from 'node:fs'
import * as fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { DecodeError } from '../../imagenet/errors.ts'
import { decodeJpegBySharp } from '../../imagenet/images/codecs/sharp.ts'
import { decode } from '../../imagenet/images/decode.ts'
import { chooseDecoder } from '../../imagenet/images/decoder.ts'
import type { Image } from '../../imagenet/images/image.ts'
import { damaged } from './damage.ts'

/** Cases of each file; by sharp, half of them. */
const RUNS = 60

interface Recorded {
  readonly name: string
  readonly file: string
}

/** Of every kind: gray, RGB, CMYK, progressive, subsampled; PNG of every colour type and depth. */
const recorded: Recorded[] = JSON.parse(readFileSync('test/fixtures/pillow/decode.json', 'utf8'))

/** Whether a file could be decoded. */
function decodes(file: Uint8Array): boolean {
  return isImage(() => decode(file, 'x'))
}

function isImage(run: () => Image): boolean {
  try {
    check(run())
    return true
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error
    return false
  }
}

function check({ width, height, channels, data }: Image): void {
  assert.ok(width > 0 && height > 0)
  assert.is(data.length, width * height * channels)
}

/** What was once taken wrongly. */
const CORPUS = 'test/corpus/images'

const test = suite('damaged images')

for (const { name, file } of recorded) {
  const bytes = Buffer.from(file, 'base64')

  test(`${name} with bytes changed, cut out and repeated`, () => {
    fc.assert(
      fc.property(damaged(bytes), (file) => {
        decodes(file)
      }),
      { numRuns: RUNS, seed: 3 },
    )
  })

  test(`${name} with bytes changed, cut out and repeated, by sharp`, async () => {
    if (chooseDecoder('auto') !== 'sharp' || !name.startsWith('JPEG')) return
    const property = fc.asyncProperty(damaged(bytes), async (file) => {
      const image = await decodeJpegBySharp(file).catch((error) => {
        if (!(error instanceof Error) || error instanceof TypeError) throw error
      })
      if (image) check(image)
    })
    await fc.assert(property, { numRuns: RUNS / 2, seed: 4 })
  })
}

for (const name of readdirSync(CORPUS))
  test(`${name} is refused`, () => assert.not.ok(decodes(readFileSync(`${CORPUS}/${name}`))))

test('as many scans as take hours are not begun, whoever decodes', async () => {
  const scans = readFileSync(`${CORPUS}/scans.jpg`)
  const reason = /it has more than 500 scans/
  assert.throws(() => decode(scans, 'x'), reason)
  if (chooseDecoder('auto') !== 'sharp') return
  await decodeJpegBySharp(scans).then(
    () => assert.unreachable('it was decoded'),
    ({ message }) => assert.match(message, reason),
  )
})

test.run()
