import { readFileSync } from 'node:fs'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { imageStream } from '../../../engine/random.ts'
import {
  carryOut,
  centerCrop,
  flipHorizontally,
  randomResizedCrop,
  transform,
} from '../../../imagenet/images/augment.ts'
import type { Image } from '../../../imagenet/images/image.ts'
import { resize } from '../../../imagenet/images/resample.ts'
import { picture } from '../pictures.ts'

interface Recorded {
  readonly name: string
  readonly width: number
  readonly height: number
  readonly rgb: string
  /** Which of the recorded images it was made from. */
  readonly image: string
}

interface Transforms {
  readonly images: readonly Recorded[]
  readonly crops: readonly (Recorded & { readonly box: [left: number, top: number, width: number, height: number] })[]
  readonly centers: readonly Recorded[]
}

const { images, crops, centers }: Transforms = JSON.parse(readFileSync('test/fixtures/pillow/transforms.json', 'utf8'))

const imageOf = ({ width, height, rgb }: Recorded): Image => ({
  width,
  height,
  channels: 3,
  data: new Uint8Array(Buffer.from(rgb, 'base64')),
})
const named = (name: string): Image => imageOf(images.find((image) => image.name === name)!)
const random = (index: number) => imageStream(1, 0, index)

const asPillow = suite('transforms as torchvision on Pillow')

for (const crop of crops)
  asPillow(`crop ${crop.name}`, () => {
    const [left, top, width, height] = crop.box
    assert.equal(resize(named(crop.image), { left, top, width, height }, crop.width, crop.height), imageOf(crop))
  })

for (const center of centers)
  asPillow(`centre of ${center.name}`, () => {
    const random = imageStream(0, 0, 0)
    assert.equal(transform('val', named(center.image), center.width, random), imageOf(center))
  })

asPillow('halves of the centre go to the even side, as Python rounds', () => {
  // (77 − 56) / 2 = 10.5 would be 11 by JavaScript's rounding.
  for (const [width, left] of [
    [75, 10],
    [77, 10],
    [79, 12],
  ])
    assert.equal(
      carryOut(centerCrop(picture(width, 64), 64, 56), picture(width, 64)),
      resize(picture(width, 64), { left, top: 4, width: 56, height: 56 }, 56, 56),
    )
})

asPillow.run()

const crop = suite('randomResizedCrop')

crop('has the distribution of torchvision', () => {
  const [width, height, draws] = [500, 375, 20_000]
  const boxes = Array.from({ length: draws }, (_, i) => randomResizedCrop(width, height, random(i)))
  for (const { left, top, width: w, height: h } of boxes) {
    assert.ok(left >= 0 && top >= 0 && w > 0 && h > 0 && left + w <= width && top + h <= height)
    const share = (w * h) / (width * height)
    // Sides are rounded, by half a pixel of at least √(0.08 · 375 · 500 · 3/4) = 106.
    assert.ok(share > 0.08 * 0.99 && share <= 1 && w / h > 0.75 * 0.99 && w / h < (4 / 3) * 1.01)
  }
  // Means of a model in Python of get_params, over 2 million draws; the tolerance is five standard errors.
  const mean = (values: number[]) => values.reduce((sum, value) => sum + value) / values.length
  const near = (values: number[], wanted: number) => {
    const average = mean(values)
    const error = Math.sqrt(mean(values.map((v) => (v - average) ** 2)) / draws)
    assert.ok(Math.abs(average - wanted) < 5 * error, `mean ${average}, wanted ${wanted} ± ${5 * error}`)
  }
  near(
    boxes.map((box) => (box.width * box.height) / (width * height)),
    0.4331,
  )
  near(
    boxes.map((box) => Math.log(box.width / box.height)),
    0.0306,
  )
  near(
    boxes.map((box) => box.left + box.width / 2),
    width / 2,
  )
  near(
    boxes.map((box) => box.top + box.height / 2),
    height / 2,
  )
})

crop('falls back to the largest centred box of an allowed ratio', () => {
  assert.equal(randomResizedCrop(1, 500, random(0)), { left: 0, top: 249, width: 1, height: 1 })
  assert.equal(randomResizedCrop(500, 1, random(0)), { left: 249, top: 0, width: 1, height: 1 })
  assert.equal(randomResizedCrop(3000, 30, random(0)), { left: 1480, top: 0, width: 40, height: 30 })
  assert.equal(randomResizedCrop(30, 3000, random(0)), { left: 0, top: 1480, width: 30, height: 40 })
})

crop('is a pure function of seed, epoch and index', () => {
  const draw = (seed: number, epoch: number, index: number) =>
    randomResizedCrop(500, 375, imageStream(seed, epoch, index))
  assert.equal(draw(1, 2, 3), draw(1, 2, 3))
  for (const other of [draw(2, 2, 3), draw(1, 3, 3), draw(1, 2, 4)]) assert.not.equal(other, draw(1, 2, 3))
})

crop.run()

const transforms = suite('transform')

transforms('train mirrors half of the images', () => {
  // A gradient stays one, whatever the crop, and shows which way it goes.
  const data = Uint8Array.from({ length: 64 * 64 * 3 }, (_, i) => (Math.floor(i / 3) % 64) * 4)
  const gradient: Image = { width: 64, height: 64, channels: 3, data }
  const draws = 1000
  let mirrored = 0
  for (let i = 0; i < draws; i++) {
    const made = transform('train', gradient, 8, random(i))
    assert.equal([made.width, made.height, made.data.length], [8, 8, 192])
    if (made.data[0] > made.data[21]) mirrored++
  }
  // Five standard deviations of a binomial.
  assert.ok(Math.abs(mirrored - draws / 2) < 5 * Math.sqrt(draws / 4), `${mirrored} of ${draws}`)
})

transforms('flipHorizontally reverses rows and keeps channels', () => {
  const image: Image = { width: 3, height: 2, channels: 3, data: Uint8Array.from({ length: 18 }, (_, i) => i) }
  flipHorizontally(image)
  assert.equal([...image.data], [6, 7, 8, 3, 4, 5, 0, 1, 2, 15, 16, 17, 12, 13, 14, 9, 10, 11])
})

transforms('digits get a black border at 32 pixels and are resized to others', () => {
  const digit: Image = { width: 28, height: 28, channels: 1, data: new Uint8Array(28 * 28).fill(200) }
  const padded = transform('digits', digit, 32, random(0))
  for (let i = 0; i < padded.data.length; i++) {
    const [x, y] = [Math.floor(i / 3) % 32, Math.floor(i / 96)]
    assert.is(padded.data[i], Math.min(x, y) >= 2 && Math.max(x, y) < 30 ? 200 : 0)
  }
  const resized = transform('digits', digit, 64, random(0))
  assert.equal(resized, { width: 64, height: 64, channels: 3, data: new Uint8Array(64 * 64 * 3).fill(200) })
})

transforms('none keeps an image of the right size and refuses others', () => {
  const digit: Image = { width: 28, height: 28, channels: 1, data: new Uint8Array(28 * 28) }
  assert.is(transform('none', digit, 28, random(0)), digit)
  assert.throws(() => transform('none', digit, 32, random(0)), /28×28, and without a transform it cannot become 32×32/)
})

transforms('every size works, on the oddest images too', () => {
  for (const [width, height] of [
    [1, 1],
    [1, 500],
    [500, 1],
    [33, 17],
  ])
    for (const size of [1, 7, 32])
      for (const name of ['train', 'val', 'digits'] as const) {
        const made = transform(name, picture(width, height), size, random(0))
        assert.equal([made.width, made.height, made.data.length], [size, size, size * size * 3])
      }
})

transforms.run()
