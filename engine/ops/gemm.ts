/**
 * The two matrix products under every matmul, linear layer and convolution, as implicit GEMM (Chetlur et al. 2014,
 * cuDNN, section 3): the matrix of patches is never stored, its elements are gathered from the images as a kernel needs
 * them. A matrix is so many images of one pixel. Nothing is recorded here: the ops on top have the gradients.
 */
import type { Device } from '../device.ts'
import { type Constants, Kernel, spread } from '../kernel.ts'
import epilogueSource from '../shaders/gemm_epilogue.wgsl'
import joinSource from '../shaders/gemm_join.wgsl'
import overRowsParamsSource from '../shaders/gemm_over_rows_params.wgsl'
import overRowsSubgroupSource from '../shaders/gemm_over_rows_subgroup.wgsl'
import overRowsTiledSource from '../shaders/gemm_over_rows_tiled.wgsl'
import patchesSource from '../shaders/gemm_patches.wgsl'
import subgroupSource from '../shaders/gemm_subgroup.wgsl'
import subgroupRowsSource from '../shaders/gemm_subgroup_rows.wgsl'
import subgroupTransposedSource from '../shaders/gemm_subgroup_transposed.wgsl'
import tiledSource from '../shaders/gemm_tiled.wgsl'
import { empty, type Shape, scope, Tensor } from '../tensor.ts'
import { asOneLine, everywhere, type Patches, type Placement, withoutPadding } from './patches.ts'
import { resizeRows, resizeRowsInto } from './resize.ts'
import { GPU_WORKGROUPS, sumInSlices } from './slices.ts'
import { transposeMatrices } from './transpose.ts'

/**
 * - tiled: stages tiles in workgroup memory; any device, any size.
 * - subgroup: for adapters that run on a CPU; see gemm_subgroup_rows.wgsl.
 */
export type GemmVariant = 'tiled' | 'subgroup'

/** The kernels of a variant, and the tile of the result that one of their workgroups makes. */
interface Kernels {
  straight: Kernel
  transposed: Kernel
  overRows: Kernel
  tile: { rows: number; columns: number }
  /** The first two for a depth in slices, each of at least `least` and a multiple of it; absent where they take none. */
  sliced?: { straight: Kernel; transposed: Kernel; least: number }
}

const joinKernel = new Kernel('gemm_join', [patchesSource, epilogueSource, joinSource])

const tiled = (name: string, constants: Constants) =>
  new Kernel(name, [patchesSource, epilogueSource, tiledSource], constants)

const kernels: Record<GemmVariant, Kernels> = {
  tiled: {
    straight: tiled('gemm_tiled', {}),
    transposed: tiled('gemm_tiled_transposed', { TRANSPOSED: 1 }),
    overRows: new Kernel('gemm_over_rows_tiled', [overRowsParamsSource, overRowsTiledSource]),
    tile: { rows: 64, columns: 64 },
    // Eight steps of DEPTH: a slice costs each of its results one store and one load.
    sliced: {
      straight: tiled('gemm_tiled_sliced', { Stored: 'f32' }),
      transposed: tiled('gemm_tiled_sliced_transposed', { Stored: 'f32', TRANSPOSED: 1 }),
      least: 128,
    },
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

/** For tests and benchmarks: takes this variant wherever the device can, or (null) the one that suits it. */
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
  /** Whether every pixel that a patch begins a tap with begins at an even float, although `pixelStride` is odd. */
  evenPixels?: boolean
  /** Whether the weight is [taps, columns, depth] rather than [taps, depth, columns]. */
  transposed: boolean
  /** All taps and every pixel unless given. */
  placement?: Placement
}

/** out = patches(x) · weight, and what follows. */
export function gemm(product: Gemm): void {
  const { out, columns } = product
  if (gemmVariant(out.device) === 'tiled') dispatch(kernels.tiled, product)
  else
    scope(() => {
      const padded = padForSubgroups(product)
      dispatch(kernels.subgroup, padded)
      if (padded.out !== out) resizeRowsInto(out, padded.out, padded.columns, columns)
    })
}

/**
 * The same product with zeros around its operands where the subgroup kernels need them: they read x, pixel by pixel, and
 * a transposed weight in pairs along the depth, and a straight weight and its results in quads along the columns. The
 * copies are worth it: the tiled kernels are ten times slower where the others are wanted.
 */
function padForSubgroups(product: Gemm): Gemm {
  const { patches, transposed } = product
  const { pixelStride } = patches
  const padded = {
    ...product,
    x: product.evenPixels ? product.x : resizeRows(product.x, pixelStride, roundUp(pixelStride, 2)),
    patches: product.evenPixels ? patches : { ...patches, pixelStride: roundUp(pixelStride, 2) },
  }
  if (transposed) {
    const depth = roundUp(product.depth, 2)
    return { ...padded, weight: resizeRows(product.weight, product.depth, depth), depth }
  }
  const { out } = product
  const columns = roundUp(product.columns, 4)
  const toColumns = (tensor?: Tensor) => tensor && resizeRows(tensor, product.columns, columns)
  return {
    ...padded,
    weight: resizeRows(product.weight, product.columns, columns),
    scale: toColumns(product.scale),
    bias: toColumns(product.bias),
    residual: toColumns(product.residual),
    out: columns === product.columns ? out : empty(out.device, [out.size / product.columns, columns], out.dtype),
    columns,
  }
}

function dispatch({ straight, transposed, tile, sliced }: Kernels, product: Gemm): void {
  const { x, weight, out, rows, depth, columns } = product
  const { device } = out
  const { patches, placement } = withoutPadding(product.patches, product.placement ?? everywhere(product.patches))
  const columnTiles = Math.ceil(columns / tile.columns)
  const tiles = Math.ceil(rows / tile.rows) * columnTiles
  const wholeDepth = depth * patches.tapsH * patches.tapsW
  const whole = { slices: 1, sliceDepth: wholeDepth }
  const { slices, sliceDepth } = sliced ? cutDepth(device, tiles, wholeDepth, sliced.least) : whole
  const geometry = { rows, depth, columns, columnTiles, tiles, slices, sliceDepth, ...patches, ...placement }
  const params = { ...geometry, ...epilogueFlags(product) }
  const bindings = [...epilogueBindings(product, weight), out]
  const workgroups = spread(device, tiles, 1)
  if (!sliced || slices === 1) {
    const kernel = product.transposed ? transposed : straight
    kernel.run(device, params, [x, weight, ...bindings], workgroups)
    return
  }
  scope(() => {
    const parts = empty(device, [slices, rows, columns])
    const kernel = product.transposed ? sliced.transposed : sliced.straight
    const nothing = { ...geometry, ...epilogueFlags({}) }
    kernel.run(device, nothing, [x, weight, ...epilogueBindings({}, weight), parts], [...workgroups, slices])
    joinKernel.run(device, params, [parts, weight, ...bindings], spread(device, rows * columns, 64))
  })
}

/**
 * How a sum of `depth` is cut: into slices where one for each tile of the result would leave a large GPU idle, as those of
 * one image do. The few cores of a software adapter have enough to do, unless a test forces what a GPU would take.
 */
function cutDepth(device: Device, tiles: number, depth: number, least: number) {
  const wanted = device.software && forced !== 'tiled' ? 1 : Math.max(1, Math.floor(GPU_WORKGROUPS / tiles))
  const sliceDepth = Math.max(least, roundUp(Math.ceil(depth / wanted), least))
  return { slices: Math.max(1, Math.ceil(depth / sliceDepth)), sliceDepth }
}

/**
 * Rows from which a weight is transposed in less time than a subgroup kernel loses by one that is not. On lavapipe an
 * element was measured to be transposed in the time of 20 rows' products with it, and the kernel to lose a sixth to a third.
 */
const ROWS_TO_TRANSPOSE = 128

/**
 * A weight [taps, columns, depth] as a product of so many rows takes it best. The subgroup kernels read a transposed one
 * with a seventh more instructions, and from lines of the cache that push each other out where the depth is a power of 2.
 */
export function transposedWeight(
  weight: Tensor,
  depth: number,
  columns: number,
  rows: number,
): Pick<Gemm, 'weight' | 'transposed'> {
  const worthwhile = gemmVariant(weight.device) === 'subgroup' && rows >= ROWS_TO_TRANSPOSE && columns % 4 === 0
  return worthwhile
    ? { weight: transposeMatrices(weight, columns, depth), transposed: false }
    : { weight, transposed: true }
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
export function gemmOverRows({ x, dy, shape, channels, columns, patches }: GemmOverRows): Tensor {
  const variant = gemmVariant(x.device)
  // The subgroup kernel reads both operands in quads.
  const least = variant === 'subgroup' ? 4 : 1
  const [depth, width] = [roundUp(channels, least), roundUp(columns, least)]
  return scope(() => {
    const padded = sumOverRows(kernels[variant], {
      x: resizeRows(x, channels, depth),
      dy: resizeRows(dy, columns, width),
      channels: depth,
      columns: width,
      patches: { ...patches, pixelStride: depth },
    })
    const narrow = resizeRows(padded, width, columns)
    return resizeRows(narrow, depth * columns, channels * columns).view(shape)
  })
}

/** @returns [taps, channels, columns] */
function sumOverRows({ overRows, tile }: Kernels, product: Omit<GemmOverRows, 'shape'>): Tensor {
  const { x, dy, channels, columns } = product
  const { device } = x
  const { patches: trimmed, placement } = withoutPadding(product.patches, everywhere(product.patches))
  const patches = asOneLine(trimmed, dy.size / columns)
  const { tapsH, tapsW } = patches
  const elements = tapsH * tapsW * channels
  const rows = dy.size / columns
  const columnTiles = Math.ceil(columns / tile.columns)
  const tiles = Math.ceil(elements / tile.rows) * columnTiles
  const sum = () =>
    sumInSlices(device, [tapsH * tapsW, channels, columns], rows, tiles, (parts, slices, sliceRows) => {
      const params = { ...patches, elements, columns, rows, sliceRows, channels, columnTiles, tiles }
      overRows.run(device, params, [x, dy, parts], [...spread(device, tiles, 1), slices])
    })
  const taps = product.patches.tapsH * product.patches.tapsW
  if (tapsH * tapsW === taps) return sum()

  // Some taps lie outside the image for every row: their part is zero.
  const out = Tensor.zeros(device, [taps, channels, columns])
  if (elements === 0) return out
  const { buffer } = sum().storage
  const tapBytes = channels * columns * 4
  for (let i = 0; i < tapsH; i++) {
    const to = (placement.firstTapH + i) * placement.kernelWidth + placement.firstTapW
    device.copy(buffer, out.storage.buffer, tapsW * tapBytes, i * tapsW * tapBytes, to * tapBytes)
  }
  return out
}

const roundUp = (n: number, to: number): number => Math.ceil(n / to) * to
