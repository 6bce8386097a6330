/**
 * The two matrix products under every matmul, linear layer and convolution, as implicit GEMM (Chetlur et al. 2014,
 * cuDNN, section 3): the matrix of patches is never stored, its elements are gathered from the images as a kernel needs
 * them. A matrix is so many images of one pixel. Nothing is recorded here: the ops on top have the gradients.
 */
import type { Device } from '../device.ts'
import { Kernel, spread } from '../kernel.ts'
import overRowsParamsSource from '../shaders/gemm_over_rows_params.wgsl'
import overRowsSubgroupSource from '../shaders/gemm_over_rows_subgroup.wgsl'
import overRowsTiledSource from '../shaders/gemm_over_rows_tiled.wgsl'
import patchesSource from '../shaders/gemm_patches.wgsl'
import subgroupSource from '../shaders/gemm_subgroup.wgsl'
import subgroupRowsSource from '../shaders/gemm_subgroup_rows.wgsl'
import subgroupTransposedSource from '../shaders/gemm_subgroup_transposed.wgsl'
import tiledSource from '../shaders/gemm_tiled.wgsl'
import type { Shape, Tensor } from '../tensor.ts'
import { sumInSlices } from './slices.ts'

/**
 * - tiled: stages tiles in workgroup memory; any device, any size.
 * - subgroup: for adapters that run on a CPU; see gemm_subgroup_rows.wgsl. Sizes it cannot take are left to tiled.
 */
export type GemmVariant = 'tiled' | 'subgroup'

const kernels = {
  tiled: {
    straight: new Kernel('gemm_tiled', [patchesSource, tiledSource]),
    transposed: new Kernel('gemm_tiled_transposed', [patchesSource, tiledSource], { TRANSPOSED: 1 }),
    overRows: new Kernel('gemm_over_rows_tiled', [overRowsParamsSource, overRowsTiledSource]),
    tile: { rows: 64, columns: 64 },
  },
  subgroup: {
    straight: new Kernel('gemm_subgroup', [subgroupRowsSource, patchesSource, subgroupSource]),
    transposed: new Kernel('gemm_subgroup_transposed', [subgroupRowsSource, patchesSource, subgroupTransposedSource]),
    overRows: new Kernel('gemm_over_rows_subgroup', [subgroupRowsSource, overRowsParamsSource, overRowsSubgroupSource]),
    tile: { rows: 32, columns: 64 },
  },
}

let forced: GemmVariant | null = null

/** For tests and benchmarks: takes this variant wherever the sizes allow, or (null) the one chosen by the device. */
export function forceGemmVariant(variant: GemmVariant | null): void {
  forced = variant
}

/**
 * Which variant suits a device. On a GPU the memory of a workgroup is fast and 8 lanes would leave most of a subgroup
 * idle; on a CPU that memory is memory like any other, and a barrier costs a switch between coroutines.
 */
export function gemmVariant({ software, subgroups }: Device): GemmVariant {
  if (!subgroups || subgroups.min < 8) return 'tiled'
  return forced ?? (software ? 'subgroup' : 'tiled')
}

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
  const { device } = out
  // The subgroup kernels read x and a transposed weight in pairs along the depth, and a straight weight in quads.
  const fits = patches.channelStride === 1 && depth % 2 === 0 && (transposed || columns % 4 === 0)
  const { straight, transposed: transposedKernel, tile } = kernels[fits ? gemmVariant(device) : 'tiled']
  const columnTiles = Math.ceil(columns / tile.columns)
  const tiles = Math.ceil(rows / tile.rows) * columnTiles
  const sizes = { rows, depth, columns, columnTiles, tiles, hasBias: bias ? 1 : 0 }
  const params = { ...sizes, ...patches, ...(placement ?? everywhere(patches)) }
  const kernel = transposed ? transposedKernel : straight
  kernel.run(device, params, [x, weight, bias ?? weight, out], spread(device, tiles, 1))
}

const everywhere = ({ tapsW, gridHeight, gridWidth }: Patches): Placement => ({
  kernelWidth: tapsW,
  firstTapH: 0,
  firstTapW: 0,
  weightTapStep: 1,
  outHeight: gridHeight,
  outWidth: gridWidth,
  outStep: 1,
  outOffsetH: 0,
  outOffsetW: 0,
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
  const { channels, columns } = sizes
  const fits = channels % 4 === 0 && columns % 4 === 0
  const { overRows, tile } = kernels[fits ? gemmVariant(device) : 'tiled']
  const elements = sizes.kernelHeight * sizes.kernelWidth * channels
  const rows = dy.size / columns
  const columnTiles = Math.ceil(columns / tile.columns)
  const tiles = Math.ceil(elements / tile.rows) * columnTiles
  return sumInSlices(device, shape, rows, tiles, (parts, slices, sliceRows) => {
    const params = { ...sizes, elements, rows, sliceRows, columnTiles, tiles }
    overRows.run(device, params, [x, dy, parts], [...spread(device, tiles, 1), slices])
  })
}
