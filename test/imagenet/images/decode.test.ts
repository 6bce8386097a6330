import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { PNG } from 'pngjs'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { DecodeError } from '../../../imagenet/errors.ts'
import { MAX_PIXELS } from '../../../imagenet/images/codecs/checks.ts'
import { decode, decodeFile, decodeFileBy } from '../../../imagenet/images/decode.ts'
import { chooseDecoder, decoderLine } from '../../../imagenet/images/decoder.ts'
import { jpegOf, picture, pngOf, removeFolder, temporaryFolder } from '../pictures.ts'

interface Recorded {
  readonly name: string
  readonly width: number
  readonly height: number
  readonly rgb: string
  readonly file: string
}

const read = (name: string) => JSON.parse(readFileSync(`test/fixtures/pillow/${name}.json`, 'utf8'))
const recorded: Recorded[] = read('decode')
/** Without pixels where Pillow refuses the file. */
const more: (Pick<Recorded, 'name' | 'file'> & Partial<Recorded>)[] = read('more')
const bytesOf = (name: string): Buffer => Buffer.from(recorded.find((entry) => entry.name === name)!.file, 'base64')

/** The reason why bytes cannot be decoded. */
function refusal(bytes: Uint8Array): string {
  try {
    decode(bytes, 'x.jpg')
  } catch (error) {
    assert.instance(error, DecodeError)
    assert.is((error as DecodeError).message, `cannot decode x.jpg: ${(error as DecodeError).reason}`)
    return (error as DecodeError).reason
  }
  throw new Error('the bytes were decoded')
}

/** A JPEG of 8×8 pixels whose header claims others. */
function claim(width: number, height: number): Buffer {
  const jpeg = jpegOf(picture(8, 8))
  const frame = jpeg.indexOf(Buffer.from([0xff, 0xc0]))
  jpeg.writeUInt16BE(height, frame + 5)
  jpeg.writeUInt16BE(width, frame + 7)
  return jpeg
}

const asPillow = suite('decode as Pillow')

/**
 * The inverse cosine transform of jpeg-js rounds samples one level off libjpeg's here and there. A level of chroma is
 * 1.772 levels of blue, so colours may be off by 1 + 1.772, rounded; YCCK goes through jpeg-js's own conversion, which
 * truncates as well.
 */
function tolerance(name: string): number {
  if (name.startsWith('PNG')) return 0
  if (/gray|RGB|CMYK/.test(name)) return 1
  return name.includes('YCCK') ? 4 : 3
}

/** The largest difference of two images, in levels. */
function worst(a: Uint8Array, b: Uint8Array): number {
  assert.is(a.length, b.length)
  return a.reduce((most, byte, i) => Math.max(most, Math.abs(byte - b[i])), 0)
}

for (const { name, width, height, rgb, file } of recorded)
  asPillow(name, () => {
    const image = decode(Buffer.from(file, 'base64'), name)
    const wanted = Buffer.from(rgb, 'base64')
    assert.equal([image.width, image.height, image.channels], [width, height, 3])
    assert.is(image.data.length, wanted.length)
    const off = Array.from(wanted, (byte, i) => Math.abs(byte - image.data[i]))
    const mean = off.reduce((sum, d) => sum + d) / off.length
    assert.ok(Math.max(...off) <= tolerance(name), `off by ${Math.max(...off)} at worst`)
    assert.ok(mean <= tolerance(name) / 8, `off by ${mean} on average`)
  })

/** What jpeg-js refuses and libjpeg passes over: markers where none belong, and codes that it does not know. */
const REFUSED_BY_JPEG_JS = ['JPEG, a marker within its scan']

for (const { name, rgb, file } of more)
  asPillow(`${name}${rgb ? '' : ': refused'}`, () => {
    const bytes = Buffer.from(file, 'base64')
    if (!rgb || REFUSED_BY_JPEG_JS.includes(name)) assert.match(refusal(bytes), /damaged|ends early/)
    else assert.ok(worst(decode(bytes, name).data, Buffer.from(rgb, 'base64')) <= tolerance(name))
  })

asPillow('keeps the upper byte of 16-bit colour', () => {
  const deep = Uint16Array.from([0x1234, 0xff00, 0x00ff, 0xffff])
  const options = { bitDepth: 16, colorType: 2, inputColorType: 6 } as const
  const png = { width: 1, height: 1, data: Buffer.from(deep.buffer) } as PNG
  assert.equal([...decode(PNG.sync.write(png, options), 'deep.png').data], [0x12, 0xff, 0x00])
})

asPillow('tells the format by the content', () => {
  const image = picture(20, 10)
  const folder = temporaryFolder({ 'n02105855_2933.JPEG': pngOf(image) })
  assert.equal(decodeFile(join(folder, 'n02105855_2933.JPEG')), image)
  removeFolder(folder)
})

asPillow.run()

const bySharp = suite('decode by sharp')

/** The package is optional: where it is missing, nothing here can be checked. */
const hasSharp = chooseDecoder('auto') === 'sharp'

bySharp('is Pillow’s own, pixel for pixel, in what it refuses too', async () => {
  if (!hasSharp) return
  const folder = temporaryFolder()
  for (const { name, width, height, rgb, file } of [...recorded, ...more]) {
    const path = join(folder, 'image')
    writeFileSync(path, Buffer.from(file, 'base64'))
    if (!rgb) {
      await decodeFileBy('sharp', path).then(
        () => assert.unreachable(`${name} was decoded`),
        (error) => assert.match(error.message, /^cannot decode .*image: it is damaged/),
      )
      continue
    }
    const image = await decodeFileBy('sharp', path)
    assert.equal([name, image.width, image.height, image.channels], [name, width, height, 3])
    assert.is(worst(image.data, Buffer.from(rgb, 'base64')), 0, name)
  }
  removeFolder(folder)
})

bySharp('refuses sizes before memory is taken', async () => {
  if (!hasSharp) return
  const folder = temporaryFolder({ 'x.jpg': claim(60000, 60000) })
  const message = await decodeFileBy('sharp', join(folder, 'x.jpg')).then(
    () => 'it was decoded',
    (error) => error.reason,
  )
  assert.is(message, `its header claims 60000×60000 pixels, more than the ${MAX_PIXELS} accepted`)
  removeFolder(folder)
})

bySharp('is chosen where it is installed', () => {
  assert.is(chooseDecoder('jpeg-js'), 'jpeg-js')
  assert.is(decoderLine('jpeg-js', 1), 'Images: decoded by jpeg-js in 1 thread')
  if (!hasSharp) return assert.throws(() => chooseDecoder('sharp'), /npm install sharp, or give --decoder jpeg-js/)
  assert.is(chooseDecoder('sharp'), 'sharp')
  assert.match(decoderLine('sharp', 0), /^Images: decoded by sharp [\d.]+ in the main thread$/)
  const threads = Number(process.env.UV_THREADPOOL_SIZE ?? 4)
  assert.match(decoderLine('sharp', threads), new RegExp(` in ${threads} threads?$`))
  const hint = new RegExp(`; set UV_THREADPOOL_SIZE=${threads + 1}, or ${threads} decode at a time$`)
  assert.match(decoderLine('sharp', threads + 1), hint)
})

bySharp.run()

const damage = suite('files that cannot be decoded')

damage('are named', () => {
  assert.is(refusal(new Uint8Array(0)), 'the file is empty')
  assert.is(refusal(Buffer.from('GIF89a')), 'it is neither JPEG nor PNG (it begins with the bytes 47 49 46 38)')
  assert.throws(() => decodeFile('/no/such.jpg'), 'cannot decode /no/such.jpg: it cannot be read (ENOENT)')
})

damage('because they end early', () => {
  for (const bytes of [jpegOf(picture(64, 48)), bytesOf('JPEG progressive'), pngOf(picture(64, 48))])
    for (const share of [0.02, 0.1, 0.5, 0.9, 0.99])
      assert.match(refusal(bytes.subarray(0, bytes.length * share)), /ends early|damaged|bytes can hold/)
})

damage('because a byte is wrong', () => {
  const png = pngOf(picture(64, 48))
  png[png.length - 20]++
  assert.match(refusal(png), /^it is damaged/)
})

damage('because they claim more pixels than are accepted, before memory is taken', () => {
  const before = process.memoryUsage().arrayBuffers
  assert.is(refusal(claim(60000, 60000)), `its header claims 60000×60000 pixels, more than the ${MAX_PIXELS} accepted`)
  assert.match(refusal(claim(9000, 9000)), /claims 9000×9000 pixels, more than its \d+ bytes can hold/)
  assert.is(refusal(claim(0, 8)), 'its header claims 0×8 pixels')
  const png = pngOf(picture(8, 8))
  png.writeUInt32BE(60000, 16)
  png.writeUInt32BE(60000, 20)
  assert.match(refusal(png), /claims 60000×60000 pixels/)
  png.writeUInt32BE(9000, 16)
  png.writeUInt32BE(9000, 20)
  assert.match(refusal(png), /claims 9000×9000 pixels, more than its \d+ bytes can hold/)
  assert.ok(process.memoryUsage().arrayBuffers - before < 2 ** 20)
})

damage('because their kind is not supported', () => {
  const jpeg = jpegOf(picture(8, 8))
  const frame = jpeg.indexOf(Buffer.from([0xff, 0xc0]))
  const change = (offset: number, value: number): Buffer => {
    const changed = Buffer.from(jpeg)
    changed[frame + offset] = value
    return changed
  }
  assert.match(refusal(change(1, 0xc9)), /arithmetic coded JPEG, which is not supported/)
  assert.match(refusal(change(4, 12)), /12 bits a sample, and only 8/)
  assert.match(refusal(change(9, 2)), /2 components, and only 1, 3 or 4/)
})

damage.run()
