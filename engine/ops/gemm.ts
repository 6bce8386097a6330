/**
 * The two matrix products under every matmul, linear layer and convolution, as implicit GEMM (Chetlur et al. 2014,
 * cuDNN, section 3): the matrix of patches is never stored, its elements are gathered from the images as a kernel needs
 * them. A matrix is so many images of one pixel. Nothing is recorded here: the ops on top have the gradients.
 */
import { Kernel, spread } from '../kernel.ts'
import overRowsTiledSource from '../shaders/gemm_over_rows_tiled.wgsl'
import patchesSource from '../shaders/gemm_patches.wgsl'
import tiledSource from '../shaders/gemm_tiled.wgsl'
import type { Shape, Tensor } from '../tensor.ts'
import { sumInSlices } from './slices.ts'

const tiledKernel = new Kernel('gemm_tiled', [patchesSource, tiledSource])
const tiledTransposedKernel = tiledKernel.with({ TRANSPOSED: 1 })
const overRowsTiledKernel = new Kernel('gemm_over_rows_tiled', overRowsTiledSource)

/** TILE of the tiled kernels. */
const TILE = 64

/** Where the rows of a product find their elements; gemm_patches.wgsl says how. */
export interface Patches {
  /** The image that x holds so many of. */
  height: number
  width: number
  /** Floats from one pixel to the next and from one channel to the next. */
  pixelStride: number
  channelStride: number
  gridHeight: number
  gridWidth: number
  step: number
  offsetH: number
  offsetW: number
  tapsH: number
  tapsW: number
  tapStep: number
}

/** Which taps of the weight take part, and which pixels of the output the rows are. */
export interface Placement {
  kernelWidth: number
  firstTapH: number
  firstTapW: number
  weightTapStep: number
  outHeight: number
  outWidth: number
  outStep: number
  outOffsetH: number
  outOffsetW: number
}

/** The rows of a matrix [rows, depth], or of the transpose of one [depth, rows]. */
export const matrixRows = (rows: number, depth: number, transposed: boolean): Patches => ({
  height: 1,
  width: 1,
  pixelStride: transposed ? 1 : depth,
  channelStride: transposed ? rows : 1,
  gridHeight: 1,
  gridWidth: 1,
  step: 1,
  offsetH: 0,
  offsetW: 0,
  tapsH: 1,
  tapsW: 1,
  tapStep: 1,
})

export interface Gemm {
  x: Tensor
  weight: Tensor
  bias?: Tensor
  out: Tensor
  /** Output pixels, or rows of a matrix. */
  rows: number
  /** Channels of x that one tap sums. */
  depth: number
  columns: number
  patches: Patches
  /** Whether the weight is [taps, columns, depth] rather than [taps, depth, columns]. */
  transposed: boolean
  /** All taps in order, and every pixel, unless given. It needs a transposed weight. */
  placement?: Placement
}

/** out = patches(x) · weight + bias. */
export function gemm({ x, weight, bias, out, rows, depth, columns, patches, transposed, placement }: Gemm): void {
  const columnTiles = Math.ceil(columns / TILE)
  const tiles = Math.ceil(rows / TILE) * columnTiles
  const params = {
    ...{ rows, columns, depth, ...patches, ...(placement ?? everywhere(patches)) },
    ...{ columnTiles, tiles, hasBias: bias ? 1 : 0 },
  }
  const kernel = transposed ? tiledTransposedKernel : tiledKernel
  kernel.run(out.device, params, [x, weight, bias ?? weight, out], spread(out.device, tiles, 1))
}

const everywhere = ({ tapsW, gridHeight, gridWidth }: Patches): Placement => ({
  ...{ kernelWidth: tapsW, firstTapH: 0, firstTapW: 0, weightTapStep: 1 },
  ...{ outHeight: gridHeight, outWidth: gridWidth, outStep: 1, outOffsetH: 0, outOffsetW: 0 },
})

export interface GemmOverRows {
  /** Of the result, which has kernelHeight · kernelWidth · channels · columns elements. */
  shape: Shape
  /** [images, height, width, channels] */
  x: Tensor
  /** [images, gridHeight, gridWidth, columns] */
  dy: Tensor
  channels: number
  height: number
  width: number
  gridHeight: number
  gridWidth: number
  step: number
  offset: number
  tapStep: number
  kernelHeight: number
  kernelWidth: number
  columns: number
}

/** patches(x)ᵀ · dy: a sum over all output pixels. */
export function gemmOverRows({ x, dy, shape, ...sizes }: GemmOverRows): Tensor {
  const { device } = x
  const elements = sizes.kernelHeight * sizes.kernelWidth * sizes.channels
  const rows = dy.size / sizes.columns
  const columnTiles = Math.ceil(sizes.columns / TILE)
  const tiles = Math.ceil(elements / TILE) * columnTiles
  return sumInSlices(device, shape, rows, tiles, (parts, slices, sliceRows) => {
    const params = { ...sizes, elements, rows, sliceRows, columnTiles, tiles }
    overRowsTiledKernel.run(device, params, [x, dy, parts], [...spread(device, tiles, 1), slices])
  })
}
