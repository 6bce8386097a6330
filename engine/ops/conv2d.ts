/** Convolution of images, as torch.nn.functional.conv2d, by implicit GEMM; in groups, directly. */
import { record } from '../autograd.ts'
import { ShapeError, show } from '../errors.ts'
import { empty, type Tensor } from '../tensor.ts'
import { groupedData, groupedForward, groupedWeight } from './conv2d_grouped.ts'
import { gemm, gemmOverRows, type Patches, type Placement } from './gemm.ts'
import { sumRows } from './slices.ts'

export interface Conv2dOptions {
  /** [O] */
  bias?: Tensor
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

/**
 * y[n, oh, ow, o] = bias[o] + Σ x[n, oh·stride − padding + kh·dilation, ow·stride − padding + kw·dilation, c] ·
 * weight[kh, kw, c, o], where x is zero outside the image.
 * @param x [N, H, W, C]
 * @param weight [KH, KW, C / groups, O]
 * @returns [N, OH, OW, O], OH = ⌊(H + 2·padding − dilation·(KH − 1) − 1) / stride⌋ + 1
 * @throws ShapeError when the shapes or options do not fit.
 */
export function conv2d(x: Tensor, weight: Tensor, options: Conv2dOptions = {}): Tensor {
  const { bias } = options
  const layout = layoutOf(x, weight, options)
  const { images, outHeight, outWidth, outputs, groups } = layout
  const out = empty(x.device, [images, outHeight, outWidth, outputs])
  if (groups > 1) groupedForward(layout, x, weight, bias, out)
  else forward(layout, x, weight, bias, out)
  return record('conv2d', out, bias ? [x, weight, bias] : [x, weight], [x, weight], (dy) => [
    x.requiresGrad ? (groups > 1 ? groupedData : dataGradient)(layout, dy, weight) : null,
    weight.requiresGrad ? (groups > 1 ? groupedWeight : weightGradient)(layout, x, dy) : null,
    bias?.requiresGrad ? sumRows(dy) : null,
  ])
}

function forward(layout: Conv2dLayout, x: Tensor, weight: Tensor, bias: Tensor | undefined, out: Tensor): void {
  const { images, height, width, channels, outHeight, outWidth, outputs, padding } = layout
  const patches: Patches = {
    ...{ height, width, pixelStride: channels, channelStride: 1, gridHeight: outHeight, gridWidth: outWidth },
    ...{ step: layout.stride, offsetH: -padding, offsetW: -padding },
    ...{ tapsH: layout.kernelHeight, tapsW: layout.kernelWidth, tapStep: layout.dilation },
  }
  const rows = images * outHeight * outWidth
  gemm({ x, weight, bias, out, rows, depth: channels, columns: outputs, patches, transposed: false })
}

/**
 * dx[h, w, c] = Σ dy[(h + padding − kh·dilation) / stride, …, o] · weight[kh, kw, c, o] over the taps for which the
 * division is exact. Pixels whose h and w leave the same remainders by the stride share those taps, so that each such
 * phase is a product of patches of dy with some taps of the weight, and no tap is multiplied in vain.
 */
function dataGradient(layout: Conv2dLayout, dy: Tensor, weight: Tensor): Tensor {
  const { images, height, width, channels, outHeight, outWidth, outputs, kernelHeight, kernelWidth, stride } = layout
  const dx = empty(dy.device, [images, height, width, channels])
  for (let h = 0; h < Math.min(stride, height); h++)
    for (let w = 0; w < Math.min(stride, width); w++) {
      const tapsH = phaseTaps(layout, h, kernelHeight)
      const tapsW = phaseTaps(layout, w, kernelWidth)
      const [gridHeight, gridWidth] = [Math.ceil((height - h) / stride), Math.ceil((width - w) / stride)]
      const patches: Patches = {
        ...{ height: outHeight, width: outWidth, pixelStride: outputs, channelStride: 1, gridHeight, gridWidth },
        ...{ step: 1, offsetH: tapsH.offset, offsetW: tapsW.offset },
        ...{ tapsH: tapsH.count, tapsW: tapsW.count, tapStep: tapsH.step },
      }
      const placement: Placement = {
        ...{ kernelWidth, firstTapH: tapsH.first, firstTapW: tapsW.first, weightTapStep: tapsH.weightStep },
        ...{ outHeight: height, outWidth: width, outStep: stride, outOffsetH: h, outOffsetW: w },
      }
      const rows = images * gridHeight * gridWidth
      const sizes = { rows, depth: outputs, columns: channels }
      gemm({ x: dy, weight, out: dx, ...sizes, patches, transposed: true, placement })
    }
  return dx
}

/**
 * The taps k, along one axis, that pixels ≡ phase (mod stride) get a gradient through: those with phase + padding −
 * k·dilation ≡ 0. If there are any, they are `first` and each `weightStep` after it, and pixel q·stride + phase finds
 * tap i's output at q + offset + i·step.
 */
function phaseTaps({ stride, padding, dilation }: Conv2dLayout, phase: number, kernel: number) {
  const weightStep = stride / greatestCommonDivisor(stride, dilation)
  const step = (-weightStep * dilation) / stride
  for (let first = 0; first < Math.min(weightStep, kernel); first++) {
    const offset = (phase + padding - first * dilation) / stride
    if (Number.isInteger(offset))
      return { count: Math.ceil((kernel - first) / weightStep), first, weightStep, offset, step }
  }
  return { count: 0, first: 0, weightStep, offset: 0, step }
}

const greatestCommonDivisor = (a: number, b: number): number => (b === 0 ? a : greatestCommonDivisor(b, a % b))

function weightGradient(layout: Conv2dLayout, x: Tensor, dy: Tensor): Tensor {
  const { height, width, channels, outputs, kernelHeight, kernelWidth } = layout
  return gemmOverRows({
    ...{ x, dy, shape: [kernelHeight, kernelWidth, channels, outputs], channels, height, width, columns: outputs },
    ...{ gridHeight: layout.outHeight, gridWidth: layout.outWidth, kernelHeight, kernelWidth },
    ...{ step: layout.stride, offset: -layout.padding, tapStep: layout.dilation },
  })
}

function layoutOf(x: Tensor, weight: Tensor, options: Conv2dOptions): Conv2dLayout {
  const { bias, stride = 1, padding = 0, dilation = 1, groups = 1 } = options
  const given = `x is ${show(x.shape)}, weight ${show(weight.shape)}`
  const check = (fits: boolean, message: () => string) => {
    if (!fits) throw new ShapeError(`conv2d: ${message()} (${given})`)
  }
  check(x.shape.length === 4, () => 'x must be [N, H, W, C]')
  check(weight.shape.length === 4, () => 'weight must be [KH, KW, C / groups, O]')
  for (const [name, value, least] of [
    ['stride', stride, 1],
    ['padding', padding, 0],
    ['dilation', dilation, 1],
    ['groups', groups, 1],
  ] as const)
    check(Number.isInteger(value) && value >= least, () => `${name} must be a whole number ≥ ${least}, given ${value}`)
  const [images, height, width, channels] = x.shape
  const [kernelHeight, kernelWidth, groupChannels, outputs] = weight.shape
  check(outputs % groups === 0, () => `${outputs} output channels do not fall into ${groups} groups`)
  check(
    channels === groupChannels * groups,
    () => `weight expects ${groupChannels * groups} input channels, x has ${channels}`,
  )
  check(
    !bias || (bias.shape.length === 1 && bias.size === outputs),
    () => `bias must be [${outputs}], given ${show(bias!.shape)}`,
  )
  const extent = (size: number, kernel: number) =>
    Math.floor((size + 2 * padding - dilation * (kernel - 1) - 1) / stride) + 1
  const [outHeight, outWidth] = [extent(height, kernelHeight), extent(width, kernelWidth)]
  check(
    outHeight > 0 && outWidth > 0,
    () => `the image is smaller than the kernel with dilation ${dilation}, padding ${padding}`,
  )
  return {
    ...{ images, height, width, channels, outHeight, outWidth, outputs, kernelHeight, kernelWidth },
    ...{ stride, padding, dilation, groups },
  }
}
