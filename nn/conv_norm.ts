/** A convolution and the BatchNorm behind it, as residual networks are made of them. */
import { scope, type Tensor, wantsGrad } from '../engine/index.ts'
import { type AfterNorm, type BatchNorm2d, type Conv2d, Sequential } from './layers.ts'

/**
 * relu(bn(conv(x)) + residual), or as much of it as is asked for: adding and clamping take no pass of their own. Where no
 * gradient is wanted and bn is in eval mode, the normalisation is folded into the convolution and takes none either.
 * x: [N, H, W, inChannels] → [N, OH, OW, outChannels], the residual's shape.
 */
export function convNorm(x: Tensor, conv: Conv2d, bn: BatchNorm2d, after: AfterNorm = {}): Tensor {
  const inputs = [x, conv.weight.tensor, bn.weight.tensor, bn.bias.tensor, after.residual]
  return scope(() => {
    if (bn.training || conv.bias || wantsGrad(inputs)) return bn.normalize(conv.call(x), after)
    const { scale, shift } = bn.fold()
    return conv.convolve(x, { scale, bias: shift, ...after })
  })
}

/** `convNorm` as a module: its convolution is named 0, its BatchNorm 1. */
export class ConvNorm extends Sequential {
  readonly #conv: Conv2d
  readonly #bn: BatchNorm2d

  constructor(conv: Conv2d, bn: BatchNorm2d) {
    super(conv, bn)
    this.#conv = conv
    this.#bn = bn
  }

  override forward(x: Tensor): Tensor {
    return convNorm(x, this.#conv, this.#bn)
  }
}
