/** What a convolution may be told, and the sizes that follow from it. */
import { ShapeError, show } from '../errors.ts'
import type { Shape, Tensor } from '../tensor.ts'

export interface Conv2dOptions {
  /** [O] */
  bias?: Tensor
  /** What the sums are multiplied by before the bias is added: [O]. */
  scale?: Tensor
  /** Added to the result: [N, OH, OW, O]. */
  residual?: Tensor
  /** Clamp the result at 0, NaN staying NaN. */
  relu?: boolean
  /** Pixels from one output's window to the next, down and across. */
  stride?: number
  /** Zeros around the image, on each side. */
  padding?: number
  /** Pixels from one tap of the window to the next. */
  dilation?: number
  /** Parts that channels and outputs fall into; output part g sees channel part g alone. */
  groups?: number
}

/** Sizes of a convolution, checked. */
export interface Conv2dLayout {
  images: number
  height: number
  width: number
  channels: number
  outHeight: number
  outWidth: number
  outputs: number
  kernelHeight: number
  kernelWidth: number
  stride: number
  padding: number
  dilation: number
  groups: number
}

/** @throws ShapeError when shapes or options do not fit. */
export function layoutOf(x: Tensor, weight: Tensor, options: Conv2dOptions): Conv2dLayout {
  const { scale, bias, residual, stride = 1, padding = 0, dilation = 1, groups = 1 } = options
  const check = (fits: boolean, message: () => string) => {
    if (!fits) throw new ShapeError(`conv2d: ${message()} (x is ${show(x.shape)}, weight ${show(weight.shape)})`)
  }
  const { dtype } = weight
  check(x.dtype === 'f32' || x.dtype === dtype, () => `weight is of ${dtype}, x of ${x.dtype}`)
  check(!residual || residual.dtype === dtype, () => `weight is of ${dtype}, residual of ${residual!.dtype}`)
  check(x.shape.length === 4, () => 'x must be [N, H, W, C]')
  check(weight.shape.length === 4, () => 'weight must be [KH, KW, C / groups, O]')
  check(![...x.shape.slice(1), ...weight.shape].includes(0), () => 'no size but the number of images may be 0')
  for (const [name, value, least] of [
    ['stride', stride, 1],
    ['padding', padding, 0],
    ['dilation', dilation, 1],
    ['groups', groups, 1],
  ] as const)
    check(Number.isInteger(value) && value >= least, () => `${name} must be a whole number ≥ ${least}, given ${value}`)
  const [images, height, width, channels] = x.shape
  const [kernelHeight, kernelWidth, groupChannels, outputs] = weight.shape
  const expected = groupChannels * groups
  check(outputs % groups === 0, () => `${outputs} output channels do not fall into ${groups} groups`)
  check(channels === expected, () => `weight expects ${expected} input channels, x has ${channels}`)
  const checkShape = (name: string, tensor: Tensor | undefined, shape: Shape) => {
    if (tensor)
      check(show(tensor.shape) === show(shape), () => `${name} must be ${show(shape)}, given ${show(tensor.shape)}`)
  }
  checkShape('scale', scale, [outputs])
  checkShape('bias', bias, [outputs])
  const extent = (size: number, kernel: number) =>
    Math.floor((size + 2 * padding - dilation * (kernel - 1) - 1) / stride) + 1
  const [outHeight, outWidth] = [extent(height, kernelHeight), extent(width, kernelWidth)]
  check(outHeight > 0 && outWidth > 0, () => `the image is smaller than the kernel, dilated by ${dilation}`)
  checkShape('residual', residual, [images, outHeight, outWidth, outputs])
  const sizes = { images, height, width, channels, outHeight, outWidth, outputs, kernelHeight, kernelWidth }
  return { ...sizes, stride, padding, dilation, groups }
}
