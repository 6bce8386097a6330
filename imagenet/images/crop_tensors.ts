/** Crops go to the GPU. */
import { type Device, type ResampleOptions, Tensor, WORDS_AN_IMAGE } from '../../engine/index.ts'
import type { Crops } from './crops.ts'

/** Places in the struct Image of engine/shaders/resample.wgsl. */
const [PIXELS, ROWS, ACROSS, DOWN, FIRST_ROW] = [0, 2, 3, 5, 7]

export interface CropTensors {
  tensors: [pixels: Tensor, filters: Tensor, images: Tensor]
  options: ResampleOptions
}

/**
 * The images `start` to before `end` of some crops as `resampleImages` takes them. Only what is theirs is sent, so places
 * are counted from there.
 */
export function cropTensors(
  device: Device,
  { pixels, filters, images }: Crops,
  size: number,
  start: number,
  end: number,
): CropTensors {
  const own = images.slice(start * WORDS_AN_IMAGE, end * WORDS_AN_IMAGE)
  const next = images.subarray(end * WORDS_AN_IMAGE)
  const words = new Uint32Array(pixels.buffer, pixels.byteOffset, pixels.length / 4)
  const [pixelsEnd, filtersEnd] = next.length > 0 ? [next[PIXELS], next[ACROSS]] : [words.length, filters.length]
  const [firstPixel, firstFilter, firstRow] = [own[PIXELS], own[ACROSS], own[FIRST_ROW]]
  let [rows, mostRows] = [0, 0]
  for (let at = 0; at < own.length; at += WORDS_AN_IMAGE) {
    own[at + PIXELS] -= firstPixel
    own[at + ACROSS] -= firstFilter
    own[at + DOWN] -= firstFilter
    own[at + FIRST_ROW] -= firstRow
    rows += own[at + ROWS]
    mostRows = Math.max(mostRows, own[at + ROWS])
  }
  const tensors: CropTensors['tensors'] = [
    Tensor.from(device, words.subarray(firstPixel, pixelsEnd)),
    Tensor.from(device, filters.subarray(firstFilter, filtersEnd)),
    Tensor.from(device, own),
  ]
  return { tensors, options: { size, rows, mostRows } }
}
