/** From the bytes of decoded images to what a network takes. */
import { ShapeError, show } from '../errors.ts'
import { Kernel, spread } from '../kernel.ts'
import normalizeImagesSource from '../shaders/normalize_images.wgsl'
import { empty, type Shape, sizeOf, type Tensor } from '../tensor.ts'

const normalizeImagesKernel = new Kernel('normalize_images', normalizeImagesSource)

/** Elements that a workgroup of this kernel covers: LANES · STEPS · 4 of the shader. */
const GROUP = 2048

export interface NormalizeImagesOptions {
  /** [N, H, W, C], C 1 or 3. */
  shape: Shape
  /** Of each channel, on the scale where a byte of 255 is 1. */
  mean: readonly number[]
  std: readonly number[]
}

/**
 * (byte / 255 − mean) / std by channel, as torchvision's ToTensor and Normalize: f32 [N, H, W, C], not recorded.
 * @param bytes u32 [⌈N·H·W·C / 4⌉]: the bytes in order, four to a word, the first in the lowest bits (which a
 *   Uint32Array over them is, on every machine that runs JavaScript), the last word padded
 * @throws ShapeError when bytes, shape, mean and std do not fit each other.
 */
export function normalizeImages(bytes: Tensor, { shape, mean, std }: NormalizeImagesOptions): Tensor {
  const channels = shape[3]
  if (shape.length !== 4 || (channels !== 1 && channels !== 3))
    throw new ShapeError(`normalizeImages: shape must be [N, H, W, 1 or 3], not ${show(shape)}`)
  if (mean.length !== channels || std.length !== channels)
    throw new ShapeError(`normalizeImages: ${channels} channels, but ${mean.length} means and ${std.length} stds`)
  const size = sizeOf(shape)
  if (bytes.dtype !== 'u32' || bytes.size !== Math.ceil(size / 4))
    throw new ShapeError(
      `normalizeImages: ${show(shape)} takes ${Math.ceil(size / 4)} words of u32, given ${bytes.size} of ${bytes.dtype}`,
    )
  const out = empty(bytes.device, shape)
  const [mean0, mean1 = 0, mean2 = 0] = mean
  const [std0, std1 = 1, std2 = 1] = std
  const params = { size, mean0, mean1, mean2, std0, std1, std2 }
  const kernel = normalizeImagesKernel.with({ CHANNELS: channels })
  kernel.run(bytes.device, params, [bytes, out], spread(bytes.device, size, GROUP))
  bytes.device.timer?.nameOp('normalizeImages')
  return out
}
