/**
 * DropConnect as it is usually built: a linear layer in which every synapse takes part with probability p, drawn once for
 * all samples of a pass, where the Kakuritsu layer draws anew for each (Wan et al., "Regularization of Neural Networks
 * using DropConnect", ICML 2013). The mask is drawn again in the backward pass, never stored; the masked weight is.
 */
import { noGrad, record } from '../autograd.ts'
import { ShapeError, show } from '../errors.ts'
import { Kernel, spread } from '../kernel.ts'
import { type Key, keyWords, probabilityBits } from '../random.ts'
import dropoutSource from '../shaders/dropout.wgsl'
import randomSource from '../shaders/random.wgsl'
import { empty, scope, Tensor } from '../tensor.ts'
import type { MaskGradient } from './kakuritsu.ts'
import { linear, matmul } from './matmul.ts'

/** The mask of a weight is dropout's of a tensor whose rows are the inputs and whose features are the cells. */
const maskKernel = new Kernel('mask_weight', [randomSource, dropoutSource])

/** Threads of a workgroup; each makes 4 elements of a row. */
const GROUP = 64

export interface DropConnectOptions {
  /** Decides the mask, with the cell and the input. */
  key: Key
  /** As `kakuritsuLinear` has it. */
  maskGradient?: MaskGradient
}

/**
 * y[b,n] = Σ_i M[n,i] · W[i,n] · x[b,i], M ~ Bernoulli(p); no rescaling by 1/p, no bias.
 * p = 0 gives zeros; p = 1 is `linear`, bit for bit; between them p is rounded to a multiple of 2^-32, but not to 0 or 1.
 * @param x [N, in]
 * @param weight [in, out]
 * @returns [N, out]
 * @throws ShapeError when the shapes do not fit; RangeError when p is outside [0, 1] or a number of the key is.
 */
export function dropConnectLinear(x: Tensor, weight: Tensor, p: number, options: DropConnectOptions): Tensor {
  const { key, maskGradient = 'straight-through' } = options
  checkShapes(x, weight)
  const dropped = probabilityBits('dropConnectLinear', 1 - p, 2 ** 32)
  if (p === 1) return linear(x, weight)
  const [inputs, cells] = weight.shape
  const [key0, key1, key2, key3] = keyWords(key)
  const params = { rows: inputs, features: cells, first_sample: 0, p: dropped, scale: 1, key0, key1, key2, key3 }
  const masked = (from: Tensor): Tensor => {
    if (p === 0) return Tensor.zeros(x.device, weight.shape)
    const to = empty(x.device, weight.shape)
    maskKernel.run(x.device, params, [from, to], spread(x.device, inputs * Math.ceil(cells / 4), GROUP))
    return to
  }

  const exact = maskGradient === 'exact'
  const y = scope(() => noGrad(() => matmul(x, masked(weight))))
  return record('dropConnectLinear', y, [x, weight], [x, weight], (dy) =>
    noGrad(() => {
      const dWeight = () => matmul(x, dy, { transposeA: true })
      return [
        x.requiresGrad ? matmul(dy, exact ? masked(weight) : weight, { transposeB: true }) : null,
        weight.requiresGrad ? (exact ? masked(dWeight()) : dWeight()) : null,
      ]
    }),
  )
}

function checkShapes(x: Tensor, weight: Tensor): void {
  if (x.shape.length !== 2 || weight.shape.length !== 2)
    throw new ShapeError(
      `dropConnectLinear takes x [N, in] and weight [in, out], given ${show(x.shape)} and ${show(weight.shape)}`,
    )
  if (x.shape[1] !== weight.shape[0])
    throw new ShapeError(
      `dropConnectLinear: weight expects ${weight.shape[0]} inputs, x has ${x.shape[1]} (x is ${show(x.shape)})`,
    )
}
