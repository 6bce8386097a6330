/** Zeros around images. */
import { Kernel } from '../kernel.ts'
import padSource from '../shaders/pad_images.wgsl'
import { empty, type Tensor } from '../tensor.ts'

const padKernel = new Kernel('pad_images', padSource)

/** Floats of a line that one workgroup of pad_images.wgsl makes. */
const FLOATS = 256

/**
 * x in a larger image, `padding` pixels from its top and left.
 * @param x [N, H, W, C]
 * @returns [N, outHeight, outWidth, C]
 */
export function padImages(x: Tensor, outHeight: number, outWidth: number, padding: number): Tensor {
  const [images, height, width, channels] = x.shape
  const out = empty(x.device, [images, outHeight, outWidth, channels], x.dtype)
  const params = { height, width, channels, outHeight, outWidth, padding }
  const parts = Math.ceil((outWidth * channels) / FLOATS)
  padKernel.run(x.device, params, [x, out], [parts, outHeight, images])
  return out
}
