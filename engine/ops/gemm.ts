/**
 * The two matrix products under every matmul, linear layer and convolution, as implicit GEMM (Chetlur et al. 2014,
 * cuDNN, section 3): the matrix of patches is never stored, its elements are gathered from the images as a kernel needs
 * them. A matrix is so many images of one pixel. Nothing is recorded here: the ops on top have the gradients.
 */
import type { Device } from '../device.ts'
import { Kernel, spread } from '../kernel.ts'
import epilogueSource from '../shaders/gemm_epilogue.wgsl'
import overRowsParamsSource from '../shaders/gemm_over_rows_params.wgsl'
import overRowsSubgroupSource from '../shaders/gemm_over_rows_subgroup.wgsl'
import overRowsTiledSource from '../shaders/gemm_over_rows_tiled.wgsl'
import patchesSource from '../shaders/gemm_patches.wgsl'
import subgroupSource from '../shaders/gemm_subgroup.wgsl'
import subgroupRowsSource from '../shaders/gemm_subgroup_rows.wgsl'
import subgroupTransposedSource from '../shaders/gemm_subgroup_transposed.wgsl'
import tiledSource from '../shaders/gemm_tiled.wgsl'
import { type Shape, scope, sizeOf, Tensor } from '../tensor.ts'
import { everywhere, type Patches, type Placement, withoutPadding } from './patches.ts'
import { sumInSlices } from './slices.ts'

/**
 * - tiled: stages tiles in workgroup memory; any device, any size.
 * - subgroup: for adapters that run on a CPU; see gemm_subgroup_rows.wgsl. Sizes it cannot take are left to tiled.
 */
export type GemmVariant = 'tiled' | 'subgroup'

const kernels = {
  tiled: {
    straight: new Kernel('gemm_tiled', [patchesSource, epilogueSource, tiledSource]),
    transposed: new Kernel('gemm_tiled_transposed', [patchesSource, epilogueSource, tiledSource], { TRANSPOSED: 1 }),
    overRows: new Kernel('gemm_over_rows_tiled', [overRowsParamsSource, overRowsTiledSource]),
    tile: { rows: 64, columns: 64 },
  },
  subgroup: {
    straight: new Kernel('gemm_subgroup', [subgroupRowsSource, patchesSource, epilogueSource, subgroupSource]),
    transposed: new Kernel('gemm_subgroup_transposed', [
      subgroupRowsSource,
      patchesSource,
      epilogueSource,
      subgroupTransposedSource,
    ]),
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

/** What becomes of the sums as they are written, as much of it as is given: relu(sums · scale + bias + residual). */
export interface Epilogue {
  /** [columns] */
  scale?: Tensor
  bias?: Tensor
  /** As the output. */
  residual?: Tensor
  relu?: boolean
}

/** The flags of gemm_epilogue.wgsl. */
export const epilogueFlags = ({ scale, bias, residual, relu }: Epilogue) => ({
  hasScale: scale ? 1 : 0,
  hasBias: bias ? 1 : 0,
  hasResidual: residual ? 1 : 0,
  relu: relu ? 1 : 0,
})

/** The bindings of gemm_epilogue.wgsl but for the last; `any` stands for what is not given. */
export const epilogueBindings = ({ scale, bias, residual }: Epilogue, any: Tensor): Tensor[] => [
  scale ?? any,
  bias ?? any,
  residual ?? any,
]

export interface Gemm extends Epilogue {
  x: Tensor
  weight: Tensor
  out: Tensor
  /** Output pixels, or rows of a matrix. */
  rows: number
  /** Channels of x that one tap sums. */
  depth: number
  columns: number
  patches: Patches
  /** Whether the weight is [taps, columns, depth] rather than [taps, depth, columns]. */
  transposed: boolean
  /** All taps and every pixel unless given. */
  placement?: Placement
}

/** out = patches(x) · weight, and what follows. */
export function gemm({ x, weight, out, rows, depth, columns, transposed, ...more }: Gemm): void {
  const { device } = out
  const { patches, placement } = withoutPadding(more.patches, more.placement ?? everywhere(more.patches))
  // The subgroup kernels read x and a transposed weight in pairs along the depth, and a straight weight in quads.
  const fits = patches.channelStride === 1 && depth % 2 === 0 && (transposed || columns % 4 === 0)
  const variant = kernels[fits ? gemmVariant(device) : 'tiled']
  const columnTiles = Math.ceil(columns / variant.tile.columns)
  const tiles = Math.ceil(rows / variant.tile.rows) * columnTiles
  const sizes = { rows, depth, columns, columnTiles, tiles }
  const kernel = transposed ? variant.transposed : variant.straight
  const params = { ...sizes, ...patches, ...placement, ...epilogueFlags(more) }
  kernel.run(device, params, [x, weight, ...epilogueBindings(more, weight), out], spread(device, tiles, 1))
}

export interface GemmOverRows {
  x: Tensor
  /** [rows, columns] */
  dy: Tensor
  /** Of the result: the patches' taps × channels × columns, in whatever shape. */
  shape: Shape
  channels: number
  columns: number
  patches: Patches
}

/** patches(x)ᵀ · dy: a sum over all output pixels. */
export function gemmOverRows({ x, dy, shape, channels, columns, ...geometry }: GemmOverRows): Tensor {
  const { device } = x
  const { patches, placement } = withoutPadding(geometry.patches, everywhere(geometry.patches))
  const { tapsH, tapsW } = patches
  // The subgroup kernel reads both operands in quads.
  const fits = channels % 4 === 0 && columns % 4 === 0
  const { overRows, tile } = kernels[fits ? gemmVariant(device) : 'tiled']
  const elements = tapsH * tapsW * channels
  const rows = dy.size / columns
  const columnTiles = Math.ceil(columns / tile.columns)
  const tiles = Math.ceil(elements / tile.rows) * columnTiles
  const sum = (shape: Shape) =>
    sumInSlices(device, shape, rows, tiles, (parts, slices, sliceRows) => {
      const params = { ...patches, elements, columns, rows, sliceRows, channels, columnTiles, tiles }
      overRows.run(device, params, [x, dy, parts], [...spread(device, tiles, 1), slices])
    })
  if (elements * columns === sizeOf(shape)) return sum(shape)

  // Some taps lie outside the image for every row: their part is zero.
  return scope(() => {
    const out = Tensor.zeros(device, shape)
    if (elements === 0) return out
    const part = sum([tapsH, tapsW, channels, columns])
    const tapBytes = channels * columns * 4
    for (let i = 0; i < tapsH; i++) {
      const to = (placement.firstTapH + i) * placement.kernelWidth + placement.firstTapW
      device.copy(part.storage.buffer, out.storage.buffer, tapsW * tapBytes, i * tapsW * tapBytes, to * tapBytes)
    }
    return out
  })
}
