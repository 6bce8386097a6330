import { map, type Nd } from './nd.ts'

/** The 2-norm of all elements, as torch.nn.utils.get_total_norm. */
export const totalNorm = (tensors: readonly Nd[]): number =>
  Math.sqrt(tensors.reduce((sum, { data }) => data.reduce((sum, x) => sum + x * x, sum), 0))

/**
 * torch.nn.utils.clip_grad_norm_: each gradient times min(1, maxNorm / (norm + 1e-6)), the norm being that of all.
 * https://pytorch.org/docs/stable/generated/torch.nn.utils.clip_grad_norm_.html
 */
export function clipGradNorm(gradients: readonly Nd[], maxNorm: number): { norm: number; clipped: Nd[] } {
  const norm = totalNorm(gradients)
  const factor = Math.min(1, maxNorm / (norm + 1e-6))
  return { norm, clipped: gradients.map((gradient) => map(gradient, (value) => value * factor)) }
}
