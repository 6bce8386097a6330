/**
 * The matrix product under every matmul, linear layer and convolution, as implicit GEMM (Chetlur et al. 2014, cuDNN,
 * section 3): the matrix of patches is never stored, its elements are gathered from the images as a kernel needs them. A
 * matrix is so many images of one pixel. Nothing is recorded here: the ops on top have the gradients. Those of weights
 * are another product: gemm_over_rows.ts.
 */
import type { Device } from '../device.ts'
import { spread } from '../kernel.ts'
import { empty, scope, type Tensor } from '../tensor.ts'
import { bucket, choose } from '../tune.ts'
import {
  forcedVariant,
  type GemmVariant,
  gemmVariant,
  joinKernel,
  type Kernels,
  kernelsOf,
  variantsOf,
} from './gemm_variants.ts'
import { everywhere, type Patches, type Placement, withoutPadding } from './patches.ts'
import { resizeRows, resizeRowsInto } from './resize.ts'
import { GPU_WORKGROUPS } from './slices.ts'
import { transposeMatrices } from './transpose.ts'

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
  const { x, weight, out, rows, depth, columns, patches, evenPixels, placement, transposed } = product
  const { device } = out
  const variants = variantsOf(device, weight.dtype, transposed)
  const [standard] = variants
  const sizes = [rows, columns, depth * patches.tapsH * patches.tapsW].map(bucket)
  const like = [x, weight, out].map(({ shape, dtype }) => ({ shape, dtype }))
  const geometry = { rows, depth, columns, patches, evenPixels, placement, transposed }
  const trial = (variant: GemmVariant) =>
    scope(() => {
      const [x, weight, out] = like.map(({ shape, dtype }) => empty(device, shape, dtype))
      gemmAs(variant, { ...geometry, x, weight, out })
    })
  const key = `gemm ${weight.dtype}${transposed ? ' transposed' : ''} ${sizes.join(' ')}`
  gemmAs(choose(device, { key, variants, standard, exact: false, trial }), product)
}

function gemmAs(variant: GemmVariant, product: Gemm): void {
  const { out, columns } = product
  const kernels = kernelsOf(variant, out.device)
  if (variant !== 'subgroup') gemmBy(kernels, product)
  else
    scope(() => {
      const padded = padForSubgroups(product)
      gemmBy(kernels, padded)
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

/** `gemm` by these kernels, which take the product as it is. */
export function gemmBy(kernels: Kernels, product: Gemm): void {
  const { x, weight, out, rows, depth, columns } = product
  const { straight, transposed = straight, tile, sliced } = product.transposed ? kernels : narrowest(kernels, columns)
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
  if (!sliced || slices === 1) {
    const kernel = product.transposed ? transposed : straight
    kernel.run(device, params, [x, weight, ...bindings], spread(device, tiles, 1))
    return
  }
  scope(() => {
    const parts = empty(device, [slices, rows, columns])
    const kernel = product.transposed ? sliced.transposed : sliced.straight
    const nothing = { ...geometry, ...epilogueFlags({}) }
    kernel.run(device, nothing, [x, weight, ...epilogueBindings({}, weight), parts], spread(device, tiles * slices, 1))
    joinKernel.run(device, params, [parts, weight, ...bindings], spread(device, rows * columns, 64))
  })
}

const narrowest = (kernels: Kernels, columns: number): Kernels => {
  const { tile, narrow } = kernels
  return narrow && columns > tile.columns / 2 && columns <= narrow.tile.columns ? narrow : kernels
}

/**
 * How a sum of `depth` is cut: into slices where one for each tile of the result would leave a large GPU idle, as those of
 * one image do. The few cores of a software adapter have enough to do, unless a test forces what a GPU would take.
 */
function cutDepth(device: Device, tiles: number, depth: number, least: number) {
  const wanted = device.software && forcedVariant() !== 'tiled' ? 1 : Math.max(1, Math.floor(GPU_WORKGROUPS / tiles))
  const sliceDepth = Math.max(least, roundUp(Math.ceil(depth / wanted), least))
  return { slices: Math.max(1, Math.ceil(depth / sliceDepth)), sliceDepth }
}

/**
 * Rows from which a weight, of one tap or of several, is transposed in less time than a subgroup kernel loses by one that is
 * not. Measured on lavapipe: with one tap the kernel gains a tenth by it at 128 rows, with nine it loses as much; there the
 * two come to the same at 200 to 500.
 */
const ROWS_TO_TRANSPOSE = { tap: 128, taps: 512 }

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
  const enough = rows >= ROWS_TO_TRANSPOSE[weight.size === depth * columns ? 'tap' : 'taps']
  const worthwhile = gemmVariant(weight.device) === 'subgroup' && enough && columns % 4 === 0
  return worthwhile
    ? { weight: transposeMatrices(weight, columns, depth), transposed: false }
    : { weight, transposed: true }
}

export const roundUp = (n: number, to: number): number => Math.ceil(n / to) * to
