/** The norm of many tensors taken together, and what limits it; unrecorded, and nobody waits for the GPU. */
import { ElementKernel } from '../elements.ts'
import { Kernel, spread } from '../kernel.ts'
import scaleBySource from '../shaders/scale_by.wgsl'
import sumSquaresSource from '../shaders/sum_squares.wgsl'
import totalNormSource from '../shaders/total_norm.wgsl'
import workgroupReduceSource from '../shaders/workgroup_reduce.wgsl'
import { empty, scope, type Tensor } from '../tensor.ts'

const sumSquaresKernel = new Kernel('sum_squares', [workgroupReduceSource, sumSquaresSource])
const totalNormKernel = new Kernel('total_norm', [workgroupReduceSource, totalNormSource])
const scaleByKernel = new ElementKernel('scale_by', scaleBySource)

/** Elements that one workgroup adds: LANES · STEPS · 4 of sum_squares.wgsl. */
const SLICE = 64 * 16 * 4

/**
 * The 2-norm of the elements of all tensors, a scalar, as torch.nn.utils.get_total_norm.
 * @param tensors of any shapes, one at least
 */
export const totalNorm = (tensors: readonly Tensor[]): Tensor => scope(() => normAndFactor(tensors, 0).norm)

/**
 * Scales gradients in place so that their norm is `maxNorm` at most, as torch.nn.utils.clip_grad_norm_:
 * g ← g · min(1, maxNorm / (‖g‖ + 1e-6)), ‖g‖ being that of all of them together. Returns ‖g‖ as it was, a scalar.
 */
export function clipGradNorm(gradients: readonly Tensor[], maxNorm: number): Tensor {
  return scope(() => {
    const { norm, factor } = normAndFactor(gradients, maxNorm)
    // Two parameters may share a gradient, which is then scaled once.
    for (const gradient of new Map(gradients.map((gradient) => [gradient.storage, gradient])).values())
      scaleByKernel.run(gradient.device, gradient.size, {}, [gradient, factor])
    norm.device.timer?.nameOp('clipGradNorm')
    return norm
  })
}

/** [] and []; to be called in a scope. */
function normAndFactor(tensors: readonly Tensor[], maxNorm: number): { norm: Tensor; factor: Tensor } {
  const { device } = tensors[0]
  const counts = tensors.map(({ size }) => Math.ceil(size / SLICE))
  const count = counts.reduce((sum, slices) => sum + slices, 0)
  const partials = empty(device, [count])
  let first = 0
  for (const [i, x] of tensors.entries()) {
    sumSquaresKernel.run(device, { size: x.size, first }, [x, partials], spread(device, counts[i], 1))
    first += counts[i]
  }
  const [norm, factor] = [empty(device, []), empty(device, [])]
  totalNormKernel.run(device, { count, maxNorm }, [partials, norm, factor], [1])
  return { norm, factor }
}
