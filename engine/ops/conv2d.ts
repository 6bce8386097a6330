/** Convolution of images, as torch.nn.functional.conv2d, by implicit GEMM; in groups, directly. */
import { record, wantsGrad } from '../autograd.ts'
import { empty, type SgdUpdate, scope, type Tensor } from '../tensor.ts'
import { groupedData, groupedForward, groupedWeight } from './conv2d_grouped.ts'
import { type Conv2dLayout, type Conv2dOptions, layoutOf } from './conv2d_layout.ts'
import { blocksOf, dataByLines, floatsOfLines } from './conv2d_lines.ts'
import { type Epilogue, type Gemm, gemm, transposedWeight } from './gemm.ts'
import { gemmOverRows } from './gemm_over_rows.ts'
import { gemmVariant } from './gemm_variants.ts'
import { half } from './half.ts'
import { padImages } from './pad_images.ts'
import type { Patches } from './patches.ts'
import { sumRows } from './slices.ts'

/** Channels that would leave three quarters of a product's 64 columns empty: an image's own, not a network's. */
const FEW_CHANNELS = 16

/**
 * y[n, oh, ow, o] = bias[o] + Σ x[n, oh·stride − padding + kh·dilation, ow·stride − padding + kw·dilation, c] ·
 * weight[kh, kw, c, o], where x is zero outside the image. `scale`, `residual` and `relu` spare what follows a
 * convolution in a residual block passes of its own. They have no gradients; batchNorm2d has, for use in training.
 * @param x [N, H, W, C]
 * @param weight [KH, KW, C / groups, O]; where it is of f16, x is brought to that, and the residual and the result are of it
 * @returns [N, OH, OW, O], OH = ⌊(H + 2·padding − dilation·(KH − 1) − 1) / stride⌋ + 1
 * @throws ShapeError when the shapes or options do not fit, or a size other than N is 0; Error when `scale`, `residual`
 *   or `relu` is given and a gradient wanted.
 */
export function conv2d(x: Tensor, weight: Tensor, options: Conv2dOptions = {}): Tensor {
  const { bias, scale, residual, relu } = options
  const layout = layoutOf(x, weight, options)
  if ((scale || residual || relu) && wantsGrad([x, weight, bias, scale, residual]))
    throw new Error('conv2d: scale, residual and relu have no gradients: use noGrad, or ops that have them')
  const inGroups = layout.groups > 1
  const out = empty(x.device, [layout.images, layout.outHeight, layout.outWidth, layout.outputs], weight.dtype)
  scope(() => {
    const operand = weight.dtype === 'f16' ? half(x) : x
    if (inGroups) groupedForward(layout, operand, weight, options, out)
    else forward(layout, operand, weight, options, out)
  })
  return record('conv2d', out, bias ? [x, weight, bias] : [x, weight], [x, weight], (dy, received, updateOf) => [
    // First, from the weight as it is: the next may move it.
    x.requiresGrad ? (inGroups ? groupedData : dataGradient)(layout, dy, weight, () => received(x)) : null,
    weight.requiresGrad ? (inGroups ? groupedWeight : weightGradient)(layout, x, dy, updateOf(weight)) : null,
    bias?.requiresGrad ? sumRows(dy) : null,
  ])
}

function forward(layout: Conv2dLayout, x: Tensor, weight: Tensor, epilogue: Epilogue, out: Tensor): void {
  const { scale, bias, residual, relu } = epilogue
  const { images, channels, outHeight, outWidth, outputs } = layout
  scope(() =>
    gemm({
      ...(linesAreShorter(layout, x) ? lines(layout, x) : { x, depth: channels, patches: patchesOf(layout) }),
      weight,
      scale,
      bias,
      residual,
      relu,
      out,
      rows: images * outHeight * outWidth,
      columns: outputs,
      transposed: false,
    }),
  )
}

/** Channels of an image of a camera at most: taps of so few are short, and odd ones are filled up. */
const IMAGE_CHANNELS = 4

/** Whether `lines` is possible and spares a subgroup kernel steps. */
const linesAreShorter = ({ channels, kernelWidth, stride, dilation }: Conv2dLayout, x: Tensor): boolean =>
  gemmVariant(x.device) === 'subgroup' &&
  channels <= IMAGE_CHANNELS &&
  kernelWidth > 1 &&
  dilation === 1 &&
  (stride * channels) % 2 === 0

/**
 * All taps of a window's line as one, which they are in memory once there are zeros where the window leaves the image.
 * A line of the padded image has an even number of pixels, so that each window begins at an even float.
 */
function lines(layout: Conv2dLayout, x: Tensor): Pick<Gemm, 'x' | 'depth' | 'patches' | 'evenPixels'> {
  const { channels, outHeight, outWidth, kernelHeight, kernelWidth, stride, padding } = layout
  const height = (outHeight - 1) * stride + kernelHeight
  const width = 2 * Math.ceil(((outWidth - 1) * stride + kernelWidth) / 2)
  const patches = { ...patchesOf(layout), height, width, offsetH: 0, offsetW: 0, tapsW: 1 }
  return { x: padImages(x, height, width, padding), depth: kernelWidth * channels, patches, evenPixels: true }
}

/** dweight[kh, kw, c, o] = Σ x[n, oh·stride − padding + kh·dilation, …, c] · dy[n, oh, ow, o]; null if it moved the weight. */
function weightGradient(layout: Conv2dLayout, x: Tensor, dy: Tensor, update: SgdUpdate | null): Tensor | null {
  const { channels, outputs, kernelHeight, kernelWidth } = layout
  const shape = [kernelHeight, kernelWidth, channels, outputs]
  return gemmOverRows({ x, dy, shape, channels, columns: outputs, patches: patchesOf(layout) }, update)
}

/**
 * dx[n, h, w, c] = Σ dy[n, (h + padding − kh·dilation) / stride, …, o] · weight[kh, kw, c, o] over the taps for which
 * the division is exact.
 */
function dataGradient(layout: Conv2dLayout, dy: Tensor, weight: Tensor, received: () => Tensor | null): Tensor {
  const { images, height, width, channels, kernelHeight, kernelWidth, dilation } = layout
  const dx = empty(dy.device, [images, height, width, channels])
  const blocks = blocksOf(layout)
  const fits = floatsOfLines(layout, blocks) * 4 <= dy.device.limits.maxStorageBufferBindingSize
  if (channels <= FEW_CHANNELS && kernelHeight * kernelWidth > 1 && dilation === 1 && fits)
    dataByLines(layout, blocks, dy, weight, dx)
  else dataByPhases(layout, dy, weight, received() ?? undefined, dx)
  return dx
}

/**
 * Pixels whose h and w leave the same remainders by the stride share those taps, so that each such phase is a product
 * of patches of dy with some taps of the weight, and no tap is multiplied in vain.
 * @param received what is added, as dx
 */
function dataByPhases(
  layout: Conv2dLayout,
  dy: Tensor,
  weight: Tensor,
  received: Tensor | undefined,
  dx: Tensor,
): void {
  const { images, height, width, channels, outHeight, outWidth, outputs, kernelHeight, kernelWidth, stride } = layout
  const rowsOfPhase = dx.size / channels / stride ** 2
  const operand = transposedWeight(weight, outputs, channels, rowsOfPhase)
  for (let h = 0; h < Math.min(stride, height); h++)
    for (let w = 0; w < Math.min(stride, width); w++) {
      const tapsH = phaseTaps(layout, h, kernelHeight)
      const tapsW = phaseTaps(layout, w, kernelWidth)
      const gridHeight = Math.ceil((height - h) / stride)
      const gridWidth = Math.ceil((width - w) / stride)
      gemm({
        x: dy,
        ...operand,
        residual: received,
        out: dx,
        rows: images * gridHeight * gridWidth,
        depth: outputs,
        columns: channels,
        patches: {
          height: outHeight,
          width: outWidth,
          pixelStride: outputs,
          gridHeight,
          gridWidth,
          step: 1,
          offsetH: tapsH.offset,
          offsetW: tapsW.offset,
          tapsH: tapsH.count,
          tapsW: tapsW.count,
          tapStep: tapsH.step,
        },
        placement: {
          kernelWidth,
          firstTapH: tapsH.first,
          firstTapW: tapsW.first,
          weightTapStep: tapsH.weightStep,
          outHeight: height,
          outWidth: width,
          outStep: stride,
          outOffsetH: h,
          outOffsetW: w,
        },
      })
    }
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

/** What each output pixel sees. */
const patchesOf = (layout: Conv2dLayout): Patches => ({
  height: layout.height,
  width: layout.width,
  pixelStride: layout.channels,
  gridHeight: layout.outHeight,
  gridWidth: layout.outWidth,
  step: layout.stride,
  offsetH: -layout.padding,
  offsetW: -layout.padding,
  tapsH: layout.kernelHeight,
  tapsW: layout.kernelWidth,
  tapStep: layout.dilation,
})
