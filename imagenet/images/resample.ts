/**
 * Bilinear resizing as Pillow's `resize(size, BILINEAR)` does it (its libImaging/Resample.c), pixel for pixel: when an
 * image shrinks, the triangle filter widens with it, so that every pixel counts (torchvision calls that antialiasing);
 * first along rows, then along columns, rounded to bytes in between; weights are integers in fixed point.
 */
import type { Image } from './image.ts'

/** A rectangle of pixels. */
export interface Box {
  readonly left: number
  readonly top: number
  readonly width: number
  readonly height: number
}

/** Fraction bits of a weight: of an int's 32, 8 hold the byte and 2 guard filters that overshoot (Pillow's choice). */
export const PRECISION_BITS = 32 - 8 - 2
const HALF = 1 << (PRECISION_BITS - 1)

/**
 * Resizes the part `box` of an RGB image to `width` × `height` and returns the part `window` of the result, which is all
 * that is computed. Nothing outside `box` is looked at, as if it had been cut out before.
 *
 * @param window within the result; all of it by default
 */
export function resize(
  image: Image,
  box: Box,
  width: number,
  height: number,
  window: Box = { left: 0, top: 0, width, height },
): Image {
  const { across, down } = filtersOf(box, width, height, window)
  const { first: firstUsed, count: usedRows } = inputsOf(down)
  const rows = resampleRows(image, { ...box, top: box.top + firstUsed, height: usedRows }, across, window.width)
  const data = resampleColumns(rows, window.width * 3, down, firstUsed, window.height)
  return { width: window.width, height: window.height, channels: 3, data }
}

/** The two filters of a resizing: of columns and of rows. Nothing beyond the inputs that they name is looked at. */
export function filtersOf(box: Box, width: number, height: number, window: Box): { across: Filter; down: Filter } {
  return {
    across: filter(box.width, width, window.left, window.width),
    down: filter(box.height, height, window.top, window.height),
  }
}

/** For each output: the first input that counts, how many do, and their weights, `taps` places an output. */
export interface Filter {
  readonly first: Int32Array
  readonly count: Int32Array
  readonly weights: Int32Array
  readonly taps: number
}

/** The inputs that a filter looks at. */
export function inputsOf({ first, count }: Filter): { first: number; count: number } {
  const last = first.length - 1
  return { first: first[0], count: first[last] + count[last] - first[0] }
}

/** The triangle filter from `inputs` to `outputs` samples, for outputs `from` to `from + amount` (precompute_coeffs). */
function filter(inputs: number, outputs: number, from: number, amount: number): Filter {
  const scale = inputs / outputs
  const support = Math.max(scale, 1)
  const taps = Math.ceil(support) * 2 + 1
  const first = new Int32Array(amount)
  const count = new Int32Array(amount)
  const weights = new Int32Array(amount * taps)
  const exact = new Float64Array(taps)
  for (let i = 0; i < amount; i++) {
    const center = (from + i + 0.5) * scale
    const begin = Math.max(Math.trunc(center - support + 0.5), 0)
    const end = Math.min(Math.trunc(center + support + 0.5), inputs)
    let sum = 0
    for (let k = 0; k < end - begin; k++) {
      exact[k] = Math.max(1 - Math.abs((k + begin - center + 0.5) * (1 / support)), 0)
      sum += exact[k]
    }
    for (let k = 0; k < end - begin; k++)
      weights[i * taps + k] = Math.trunc(0.5 + (exact[k] / sum) * (1 << PRECISION_BITS))
    first[i] = begin
    count[i] = end - begin
  }
  return { first, count, weights, taps }
}

// Weights are not negative and add up to one but for a rounding of each, so that no sum leaves the range of a byte.

/** u8 [box.height, outputs, 3]. */
function resampleRows(image: Image, box: Box, { first, count, weights, taps }: Filter, outputs: number): Uint8Array {
  const { data } = image
  const result = new Uint8Array(box.height * outputs * 3)
  for (let y = 0, o = 0; y < box.height; y++) {
    const row = (box.top + y) * image.width + box.left
    for (let x = 0; x < outputs; x++) {
      let red = HALF
      let green = HALF
      let blue = HALF
      let pixel = (row + first[x]) * 3
      const end = x * taps + count[x]
      for (let k = x * taps; k < end; k++) {
        const weight = weights[k]
        red += data[pixel++] * weight
        green += data[pixel++] * weight
        blue += data[pixel++] * weight
      }
      result[o++] = red >> PRECISION_BITS
      result[o++] = green >> PRECISION_BITS
      result[o++] = blue >> PRECISION_BITS
    }
  }
  return result
}

/** @param rows u8 [rows, rowBytes], whose first row is input `firstUsed` of the filter. @returns u8 [outputs, rowBytes] */
function resampleColumns(
  rows: Uint8Array,
  rowBytes: number,
  { first, count, weights, taps }: Filter,
  firstUsed: number,
  outputs: number,
): Uint8Array {
  const result = new Uint8Array(outputs * rowBytes)
  const sums = new Int32Array(rowBytes)
  for (let y = 0; y < outputs; y++) {
    sums.fill(HALF)
    for (let k = 0; k < count[y]; k++) {
      const weight = weights[y * taps + k]
      const row = (first[y] - firstUsed + k) * rowBytes
      for (let i = 0; i < rowBytes; i++) sums[i] += rows[row + i] * weight
    }
    const out = y * rowBytes
    for (let i = 0; i < rowBytes; i++) result[out + i] = sums[i] >> PRECISION_BITS
  }
  return result
}
