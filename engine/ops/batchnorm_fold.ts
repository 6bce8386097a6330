/** Batch normalisation by running statistics, folded into what the convolution before it does with its sums. */
import { Kernel } from '../kernel.ts'
import foldSource from '../shaders/batchnorm_fold.wgsl'
import { empty, type Tensor } from '../tensor.ts'
import { type BatchNorm2dOptions, DEFAULT_EPS } from './batchnorm.ts'

const foldKernel = new Kernel('batchnorm_fold', foldSource)

/** Threads of a workgroup of batchnorm_fold.wgsl. */
const LANES = 64

/**
 * What batchNorm2d does in evaluation, as x · scale + shift by channel; unrecorded. Where a mean is far from 0, the sum
 * of two large numbers rounds coarser than batchNorm2d, by 6e-8 · |mean| · |scale|.
 * @returns [C] each
 */
export function foldBatchNorm(
  options: Pick<BatchNorm2dOptions, 'weight' | 'bias' | 'runningMean' | 'runningVar' | 'eps'>,
): { scale: Tensor; shift: Tensor } {
  const { weight, bias, runningMean, runningVar, eps = DEFAULT_EPS } = options
  const { device, shape, size: channels } = weight
  const [scale, shift] = [empty(device, shape), empty(device, shape)]
  const bindings = [runningMean, runningVar, weight, bias, scale, shift]
  foldKernel.run(device, { channels, eps }, bindings, [Math.ceil(channels / LANES)])
  device.timer?.nameOp('foldBatchNorm')
  return { scale, shift }
}
