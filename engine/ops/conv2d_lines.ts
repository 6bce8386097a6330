/**
 * The gradient of an image of few channels. By channel, a product would fill little of its tiles; the lines of the windows
 * that share an output line, cut into blocks, fill them.
 */
import { Kernel, spread } from '../kernel.ts'
import weightSource from '../shaders/conv2d_line_weight.wgsl'
import linesToImageSource from '../shaders/conv2d_lines_to_image.wgsl'
import { empty, scope, type Tensor } from '../tensor.ts'
import type { Conv2dLayout } from './conv2d_layout.ts'
import { gemm } from './gemm.ts'
import { matrixRows } from './patches.ts'

const weightKernel = new Kernel('conv2d_line_weight', weightSource)
const linesToImageKernel = new Kernel('conv2d_lines_to_image', linesToImageSource)

/** Lines of an image that a thread of conv2d_lines_to_image.wgsl makes: its RUN. */
const RUN = 8

/** Lines of the padded image in blocks of as many floats as a window moves by. */
export interface Blocks {
  /** Floats of one. */
  block: number
  /** Blocks that hold a line of a window. */
  taps: number
  /** Blocks of all windows side by side. */
  blocks: number
  /** Floats that one block of each of a window's lines takes, a number of columns that gemm takes without a copy. */
  pitch: number
}

/** Of a convolution without dilation. */
export function blocksOf({ channels, outWidth, kernelHeight, kernelWidth, stride }: Conv2dLayout): Blocks {
  const block = stride * channels
  const taps = Math.ceil(kernelWidth / stride)
  return { block, taps, blocks: outWidth + taps - 1, pitch: Math.ceil((kernelHeight * block) / 4) * 4 }
}

/** Floats of the largest tensor that `dataByLines` makes. */
export const floatsOfLines = ({ images, outHeight }: Conv2dLayout, { blocks, pitch }: Blocks): number =>
  images * outHeight * blocks * pitch

/**
 * By one product: its rows are the blocks along a line of outputs, its columns a block of each line of a window, and it
 * sums over the few outputs that see a block. Its results are then summed where windows overlap vertically.
 * @param dy [N, OH, OW, O]
 * @param weight [KH, KW, C, O]
 * @param dx [N, H, W, C], written
 */
export function dataByLines(layout: Conv2dLayout, blocks: Blocks, dy: Tensor, weight: Tensor, dx: Tensor): void {
  const { device } = dx
  const { images, height, width, channels, outHeight, outWidth, outputs, kernelWidth } = layout
  const { taps, pitch } = blocks
  scope(() => {
    const blockWeight = empty(device, [taps, outputs, pitch])
    const weightParams = { ...layout, ...blocks, lineFloats: kernelWidth * channels, size: blockWeight.size }
    weightKernel.run(device, weightParams, [weight, blockWeight], spread(device, blockWeight.size, 64))
    const lines = empty(device, [images, outHeight, blocks.blocks, pitch])
    gemm({
      x: dy,
      weight: blockWeight,
      out: lines,
      rows: lines.size / pitch,
      depth: outputs,
      columns: pitch,
      patches: {
        ...matrixRows(outputs),
        height: outHeight,
        width: outWidth,
        gridHeight: outHeight,
        gridWidth: blocks.blocks,
        offsetW: 1 - taps,
        tapsW: taps,
      },
      transposed: false,
    })
    const params = { ...layout, ...blocks, lineFloats: width * channels }
    const workgroups = [Math.ceil((width * channels) / 64), Math.ceil(height / RUN), images] as const
    linesToImageKernel.run(device, params, [lines, dx], workgroups)
  })
}
