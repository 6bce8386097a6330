/** Pooling of images over windows: the greatest value, or the mean. */
import { record, wantsGrad } from '../autograd.ts'
import type { Device } from '../device.ts'
import { ShapeError, show } from '../errors.ts'
import { spread } from '../kernel.ts'
import adaptiveWindowsSource from '../shaders/adaptive_windows.wgsl'
import avgPoolSource from '../shaders/avg_pool.wgsl'
import avgPoolBackwardSource from '../shaders/avg_pool_backward.wgsl'
import maxPoolSource from '../shaders/max_pool.wgsl'
import maxPoolBackwardSource from '../shaders/max_pool_backward.wgsl'
import { empty, scope, type Tensor } from '../tensor.ts'
import { ChannelKernel, ITEMS, LANES, stepsOf } from './channels.ts'

const maxPoolKernel = new ChannelKernel('max_pool', maxPoolSource)
const maxPoolBackwardKernel = new ChannelKernel('max_pool_backward', maxPoolBackwardSource)
const avgPoolKernel = new ChannelKernel('avg_pool', adaptiveWindowsSource, avgPoolSource)
const avgPoolBackwardKernel = new ChannelKernel('avg_pool_backward', adaptiveWindowsSource, avgPoolBackwardSource)

/** PIXELS of max_pool.wgsl, the outputs that a thread makes. */
const PIXELS = 4

export interface MaxPool2dOptions {
  kernelSize: number
  /** `kernelSize` unless given. */
  stride?: number
  /** Rows and columns around the image that never win; at most half of `kernelSize`. */
  padding?: number
}

/**
 * The greatest value of each window, as torch.nn.MaxPool2d: of equal values the first takes the gradient, and a NaN
 * wins over every number.
 * @param x [N, H, W, C], of f32 or f16; the result is [N, ⌊(H + 2·padding − kernelSize) / stride⌋ + 1, likewise for W, C]
 * @throws ShapeError when x is no image or smaller than a window, RangeError when an option is out of range.
 */
export function maxPool2d(x: Tensor, { kernelSize, stride = kernelSize, padding = 0 }: MaxPool2dOptions): Tensor {
  const [batch, height, width, channels] = imageShape('maxPool2d', x)
  for (const [name, value] of Object.entries({ kernelSize, stride }))
    if (!Number.isInteger(value) || value < 1)
      throw new RangeError(`maxPool2d: ${name} must be 1 or more, not ${value}`)
  if (!Number.isInteger(padding) || padding < 0 || padding > kernelSize / 2)
    throw new RangeError(`maxPool2d: padding must be 0 to half of kernelSize ${kernelSize}, not ${padding}`)
  const [outHeight, outWidth] = [height, width].map(
    (size) => Math.floor((size + 2 * padding - kernelSize) / stride) + 1,
  )
  if (outHeight < 1 || outWidth < 1)
    throw new ShapeError(
      `maxPool2d: a window of ${kernelSize} with padding ${padding} is larger than x ${show(x.shape)}`,
    )

  const { device } = x
  const params = { height, width, channels, outHeight, outWidth, kernelSize, stride, padding }
  const [out, winners] = scope(() => {
    const out = empty(device, [batch, outHeight, outWidth, channels], x.dtype)
    const winners = empty(device, out.shape, 'u32')
    const pixels = batch * outHeight * outWidth
    const groups = workgroups(device, pixels / PIXELS, channels)
    maxPoolKernel.for(channels).run(device, { ...params, pixels }, [x, out, winners], groups)
    return wantsGrad([x]) ? [out, winners] : [out]
  })
  return record('maxPool2d', out, [x], winners ? [winners] : [], (dy) => {
    const dx = empty(device, x.shape)
    const [blockRows, blockColumns] = [height, width].map((size) => Math.ceil((size + padding) / stride))
    const blocks = batch * blockRows * blockColumns
    const groups = workgroups(device, blocks, channels)
    const backwardParams = { ...params, blocks, blockRows, blockColumns }
    maxPoolBackwardKernel.for(channels).run(device, backwardParams, [dy, winners!, dx], groups)
    return [dx]
  })
}

/**
 * Means over windows that divide the image into rows × columns, whatever its size, as torch.nn.AdaptiveAvgPool2d.
 * Along an axis of `size`, window i of `parts` covers [⌊i·size/parts⌋, ⌈(i+1)·size/parts⌉).
 * @param x [N, H, W, C], of f32 or f16; the result is [N, rows, columns, C] of f32
 * @throws ShapeError when x is no image, RangeError when there is no output.
 */
export function adaptiveAvgPool2d(x: Tensor, [outHeight, outWidth]: readonly [rows: number, columns: number]): Tensor {
  const [batch, height, width, channels] = imageShape('adaptiveAvgPool2d', x)
  if (![outHeight, outWidth].every((size) => Number.isInteger(size) && size >= 1))
    throw new RangeError(`adaptiveAvgPool2d: the output must be 1 × 1 or more, not ${outHeight} × ${outWidth}`)
  const { device } = x
  const params = { height, width, channels, outHeight, outWidth }
  const out = empty(device, [batch, outHeight, outWidth, channels])
  const pixels = batch * outHeight * outWidth
  avgPoolKernel.for(channels).run(device, { ...params, pixels }, [x, out], workgroups(device, pixels, channels))
  return record('adaptiveAvgPool2d', out, [x], [], (dy) => {
    const dx = empty(device, x.shape)
    const runs = batch * height * outWidth
    avgPoolBackwardKernel.for(channels).run(device, { ...params, runs }, [dy, dx], workgroups(device, runs, channels))
    return [dx]
  })
}

function imageShape(op: string, x: Tensor): readonly number[] {
  if (x.shape.length !== 4) throw new ShapeError(`${op}: x must be [N, H, W, C], not ${show(x.shape)}`)
  if (x.shape.slice(1).includes(0))
    throw new ShapeError(`${op}: no size but the number of images may be 0 (x is ${show(x.shape)})`)
  return x.shape
}

/** Pixels, or runs or blocks of them, over x and y; channels over z. */
function workgroups(device: Device, items: number, channels: number): [number, number, number] {
  return [...spread(device, items, ITEMS), Math.ceil(stepsOf(channels) / LANES)]
}
