/**
 * The product that a weight's gradient is, by implicit GEMM as in gemm.ts: a sum over all output pixels, or the rows of
 * two matrices. A parameter that waits for nothing but this gradient can be moved as the sums are made.
 */
import { spread } from '../kernel.ts'
import { empty, type SgdUpdate, type Shape, scope, sizeOf, Tensor } from '../tensor.ts'
import { bucket, choose } from '../tune.ts'
import { roundUp } from './gemm.ts'
import { type GemmVariant, gemmVariant, type Kernels, kernelsOf, variantsOf } from './gemm_variants.ts'
import { asOneLine, everywhere, type Patches, withoutPadding } from './patches.ts'
import { resizeRows } from './resize.ts'
import { cutRows, sumInSlices } from './slices.ts'

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

/**
 * patches(x)ᵀ · dy.
 * @param update what the result is wanted for: its parameter, of as many elements, is moved by it where one dispatch makes
 *   all of the sum, in the kernels' own layout
 * @returns null where the parameter was moved
 */
export function gemmOverRows(product: GemmOverRows): Tensor
export function gemmOverRows(product: GemmOverRows, update: SgdUpdate | null): Tensor | null
export function gemmOverRows(product: GemmOverRows, update: SgdUpdate | null = null): Tensor | null {
  const { x, dy, shape, columns } = product
  const { device } = x
  const [operand, gradient] = [x.shape, dy.shape]
  const { x: _, dy: __, ...geometry } = product
  const standard = gemmVariant(device)
  const variant = choose(device, {
    key: `gemm over rows ${[dy.size / columns, columns, sizeOf(shape) / columns].map(bucket).join(' ')}`,
    variants: variantsOf(device, 'f32', false).filter((variant) => kernelsOf(variant, device).overRows),
    standard,
    exact: false,
    trial: (variant) =>
      scope(() => {
        const [x, dy] = [empty(device, operand), empty(device, gradient)]
        overRowsAs(variant, { ...geometry, x, dy }, null)
      }),
  })
  return overRowsAs(variant, product, update)
}

function overRowsAs(variant: GemmVariant, product: GemmOverRows, update: SgdUpdate | null): Tensor | null {
  const { x, dy, shape, channels, columns, patches } = product
  // The subgroup kernel reads both operands in quads.
  const least = variant === 'subgroup' ? 4 : 1
  const [depth, width] = [roundUp(channels, least), roundUp(columns, least)]
  const fits = depth === channels && width === columns
  return scope(() => {
    const operands = {
      x: resizeRows(x, channels, depth),
      dy: resizeRows(dy, columns, width),
      channels: depth,
      columns: width,
      patches: { ...patches, pixelStride: depth },
    }
    const padded = sumOverRows(kernelsOf(variant, x.device), operands, fits ? update : null)
    if (!padded) return null
    const narrow = resizeRows(padded, width, columns)
    return resizeRows(narrow, depth * columns, channels * columns).view(shape)
  })
}

/** @returns [taps, channels, columns], or null where the update's parameter was moved */
function sumOverRows(
  { overRows, tile }: Kernels,
  product: Omit<GemmOverRows, 'shape'>,
  update: SgdUpdate | null,
): Tensor | null {
  const { x, dy, channels, columns } = product
  const { device } = x
  const { patches: trimmed, placement } = withoutPadding(product.patches, everywhere(product.patches))
  const patches = asOneLine(trimmed, dy.size / columns)
  const { tapsH, tapsW } = patches
  const elements = tapsH * tapsW * channels
  const rows = dy.size / columns
  const columnTiles = Math.ceil(columns / tile.columns)
  const tiles = Math.ceil(elements / tile.rows) * columnTiles
  const cut = cutRows(device, rows, tiles)
  const geometry = { ...patches, elements, columns, rows, ...cut, channels, columnTiles, tiles }
  const taps = product.patches.tapsH * product.patches.tapsW
  const allInside = tapsH * tapsW === taps
  if (update && allInside && cut.slices === 1) {
    const { param, velocity, lr, momentum, weightDecay } = update
    const params = { ...geometry, lr, momentum, weightDecay }
    overRows!.move.run(device, params, [x, dy, param, velocity], spread(device, tiles, 1))
    return null
  }

  const sum = () =>
    sumInSlices(device, [tapsH * tapsW, channels, columns], cut, (parts) => {
      const params = { ...geometry, lr: 0, momentum: 0, weightDecay: 0 }
      overRows!.store.run(device, params, [x, dy, parts], spread(device, tiles * cut.slices, 1))
    })
  if (allInside) return sum()

  // Some taps lie outside the image for every row: their part is zero.
  const out = Tensor.zeros(device, [taps, channels, columns])
  if (elements === 0) return out
  const { buffer } = sum().storage
  out.storage.version++
  const tapBytes = channels * columns * 4
  for (let i = 0; i < tapsH; i++) {
    const to = (placement.firstTapH + i) * placement.kernelWidth + placement.firstTapW
    device.copy(buffer, out.storage.buffer, tapsW * tapBytes, i * tapsW * tapBytes, to * tapBytes)
  }
  return out
}
