/** Crops of any size to images of one size, with Pillow's pixels: see resample_rows.wgsl. */
import { ShapeError } from '../errors.ts'
import { Kernel, spread } from '../kernel.ts'
import sharedSource from '../shaders/resample.wgsl'
import columnsSource from '../shaders/resample_columns.wgsl'
import rowsSource from '../shaders/resample_rows.wgsl'
import { empty, scope, type Tensor } from '../tensor.ts'

const rowsKernel = new Kernel('resample_rows', [sharedSource, rowsSource])
const columnsKernel = new Kernel('resample_columns', [sharedSource, columnsSource])

/** Words that describe an image: the struct Image of resample.wgsl. */
export const WORDS_AN_IMAGE = 9

/** Words that a workgroup of either kernel makes. */
const GROUP = 64

export interface ResampleOptions {
  /** Pixels a side of what comes out. */
  size: number
  /** Rows of all images together, and of the image that has most. */
  rows: number
  mostRows: number
}

/**
 * @param pixels u32: the bytes of the crops, RGB, four to a word, each crop from a word on
 * @param filters u32: for each output column and row its first input, the number of inputs, their weights
 * @param images u32 [N, 9]: the struct Image of resample.wgsl
 * @returns u32 [⌈N·size·size·3 / 4⌉]: bytes [N, size, size, 3], as `normalizeImages` takes them; not recorded
 * @throws ShapeError when `images` does not hold whole descriptions
 */
export function resampleImages(
  pixels: Tensor,
  filters: Tensor,
  images: Tensor,
  { size, rows, mostRows }: ResampleOptions,
): Tensor {
  const { device } = pixels
  const count = images.size / WORDS_AN_IMAGE
  if (!Number.isInteger(count))
    throw new ShapeError(`resampleImages: images takes ${WORDS_AN_IMAGE} words for each, given ${images.size}`)
  const rowWords = Math.ceil((size * 3) / 4)
  const words = Math.ceil((count * size * size * 3) / 4)
  return scope(() => {
    const between = empty(device, [rows * rowWords], 'u32')
    const groups = Math.ceil((mostRows * rowWords) / GROUP)
    rowsKernel.run(device, { size, rowWords }, [pixels, filters, images, between], [groups, count])
    const out = empty(device, [words], 'u32')
    const params = { size, rowWords, words, count }
    columnsKernel.run(device, params, [between, filters, images, out], spread(device, words, GROUP))
    device.timer?.nameOp('resampleImages')
    return out
  })
}
