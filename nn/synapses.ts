/** The ways in which the synapses of a layer may fire: how masks are shared, scaled and differentiated. */
import { dropConnectLinear, type Key, kakuritsuLinear, type MaskGradient, scale, type Tensor } from '../engine/index.ts'

export interface SynapseOptions {
  /** 'straight-through', the original's, unless given. */
  maskGradient?: MaskGradient
  /** Whether the sums are divided by p, so that their expectation is that of p = 1; not, as in the original, unless given. */
  rescale?: boolean
  /** Whether all samples of a step have one mask (DropConnect as it is usually built) or each its own, which is the default. */
  sharedMask?: boolean
}

/**
 * A linear layer whose synapses take part with probability p. p = 1 is `linear`, bit for bit.
 * @param x [N, in]
 * @param weight [in, out]
 * @param draw where its mask comes from: `Generator.draw`
 * @returns [N, out]
 */
export function fire(
  x: Tensor,
  weight: Tensor,
  p: number,
  { key, sampleOffset }: { key: Key; sampleOffset: number },
  { maskGradient, rescale = false, sharedMask = false }: SynapseOptions,
): Tensor {
  const sums = sharedMask
    ? dropConnectLinear(x, weight, p, { key, maskGradient })
    : kakuritsuLinear(x, weight, p, { key, sampleOffset, maskGradient })
  // Nothing fires at p = 0: zeros, whatever their scale.
  return rescale && p > 0 ? scale(sums, 1 / p) : sums
}
