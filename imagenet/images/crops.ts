/** Images for the GPU to resize: what a worker hands over in place of finished pixels. */

import type { Stream } from '../../engine/random.ts'
import { carryOut, planOf } from './augment.ts'
import { type Image, toRgb } from './image.ts'
import { type Filter, filtersOf, inputsOf, PRECISION_BITS } from './resample.ts'

/** As `resampleImages` takes them. */
export interface Crops {
  /** Bytes of the crops, each [rows, width, 3], from a multiple of 4 on. */
  readonly pixels: Uint8Array<ArrayBuffer>
  /** Of each image, columns first: for every output its first input, how many, and their weights. */
  readonly filters: Uint32Array<ArrayBuffer>
  /** Nine words an image: the struct Image of engine/shaders/resample.wgsl. */
  readonly images: Uint32Array<ArrayBuffer>
}

/** Bytes of a crop beyond which it is resized before it leaves its thread, so that batches stay of a bounded size. */
const MOST_BYTES = 2 ** 20

interface Crop {
  readonly pixels: Uint8Array
  readonly width: number
  readonly rows: number
  readonly across: Filter
  readonly down: Filter
  readonly mirrored: boolean
}

/** Gathers the crops of a batch. */
export class CropGatherer {
  readonly #name: 'train' | 'val'
  readonly #size: number
  readonly #crops: Crop[] = []

  /** @param size pixels a side that images are to have */
  constructor(name: 'train' | 'val', size: number) {
    this.#name = name
    this.#size = size
  }

  /** Takes an image as `transform` does, but leaves resizing and mirroring undone. */
  add(image: Image, random: Stream): void {
    const size = this.#size
    const plan = planOf(this.#name, image, size, random)
    const { across, down } = filtersOf(plan.box, plan.width, plan.height, plan.window)
    const [columns, rows] = [inputsOf(across), inputsOf(down)]
    const rgb = toRgb(image)
    if (columns.count * rows.count * 3 > MOST_BYTES) {
      const whole = identity(size)
      const { data } = carryOut(plan, rgb)
      this.#crops.push({ pixels: data, width: size, rows: size, across: whole, down: whole, mirrored: false })
      return
    }
    const pixels = new Uint8Array(columns.count * rows.count * 3)
    for (let y = 0; y < rows.count; y++) {
      const start = ((plan.box.top + rows.first + y) * rgb.width + plan.box.left + columns.first) * 3
      pixels.set(rgb.data.subarray(start, start + columns.count * 3), y * columns.count * 3)
    }
    const { mirrored } = plan
    this.#crops.push({ pixels, width: columns.count, rows: rows.count, across, down, mirrored })
  }

  finish(): Crops {
    const crops = this.#crops
    const pixels = new Uint8Array(sum(crops, ({ pixels }) => wordsOf(pixels)) * 4)
    const filters = new Uint32Array(sum(crops, ({ across, down }) => wordsOfFilter(across) + wordsOfFilter(down)))
    const images: number[] = []
    let [pixelWord, filterWord, firstRow] = [0, 0, 0]
    for (const { pixels: own, width, rows, across, down, mirrored } of crops) {
      const downWord = filterWord + wordsOfFilter(across)
      images.push(pixelWord, width, rows, filterWord, across.taps, downWord, down.taps, firstRow, Number(mirrored))
      pixels.set(own, pixelWord * 4)
      writeFilter(filters, filterWord, across)
      writeFilter(filters, downWord, down)
      pixelWord += wordsOf(own)
      filterWord = downWord + wordsOfFilter(down)
      firstRow += rows
    }
    return { pixels, filters, images: Uint32Array.from(images) }
  }
}

const sum = <T>(items: readonly T[], count: (item: T) => number): number =>
  items.reduce((total, item) => total + count(item), 0)

const wordsOf = (bytes: Uint8Array): number => Math.ceil(bytes.length / 4)
const wordsOfFilter = ({ first, taps }: Filter): number => first.length * (taps + 2)

/** Inputs are counted from the first that is looked at, because those before it are left out. */
function writeFilter(words: Uint32Array, at: number, { first, count, weights, taps }: Filter): void {
  for (let i = 0; i < first.length; i++, at += taps + 2) {
    words[at] = first[i] - first[0]
    words[at + 1] = count[i]
    words.set(weights.subarray(i * taps, i * taps + count[i]), at + 2)
  }
}

/** A filter that changes nothing. */
const identity = (size: number): Filter => ({
  first: Int32Array.from({ length: size }, (_, i) => i),
  count: new Int32Array(size).fill(1),
  weights: new Int32Array(size).fill(1 << PRECISION_BITS),
  taps: 1,
})
