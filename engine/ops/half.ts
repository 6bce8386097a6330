/** Half precision: what it takes, and the way into it. */
import { wantsGrad } from '../autograd.ts'
import type { Device } from '../device.ts'
import { ElementKernel } from '../elements.ts'
import { GpuError } from '../errors.ts'
import halfSource from '../shaders/half.wgsl'
import { empty, type Tensor } from '../tensor.ts'

const halfKernel = new ElementKernel('half', halfSource)

/** Whether tensors of f16 can be computed with on a device. */
export const hasHalf = (device: Device): boolean => device.features.has('shader-f16')

/**
 * x rounded to half precision, of 11 significant bits, in magnitudes up to 65504; x itself where it is so already. Not recorded.
 * @throws Error when a gradient of it is wanted; GpuError when the adapter has no shader-f16
 */
export function half(x: Tensor): Tensor {
  if (x.dtype === 'f16') return x
  if (wantsGrad([x])) throw new Error('half: half precision has no gradients: use noGrad')
  if (!hasHalf(x.device)) throw new GpuError('half: this adapter has no shader-f16: compute in f32')
  const out = empty(x.device, x.shape, 'f16')
  halfKernel.run(x.device, x.size, {}, [x, out])
  x.device.timer?.nameOp('half')
  return out
}
