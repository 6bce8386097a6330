/**
 * The Kakuritsu layer: a linear layer in which every synapse takes part with probability p, drawn anew for every sample,
 * cell and input. Its mask is drawn where it is used and never stored; `shaders/kakuritsu_mask.wgsl` says how.
 */
import { noGrad, record } from '../autograd.ts'
import type { Device } from '../device.ts'
import { ShapeError, show } from '../errors.ts'
import { Kernel } from '../kernel.ts'
import { type Key, keyWords, probabilityBits } from '../random.ts'
import weightSource from '../shaders/kakuritsu_backward_weight.wgsl'
import xSource from '../shaders/kakuritsu_backward_x.wgsl'
import forwardSource from '../shaders/kakuritsu_forward.wgsl'
import maskSource from '../shaders/kakuritsu_mask.wgsl'
import shareSource from '../shaders/kakuritsu_share.wgsl'
import shareSubgroupSource from '../shaders/kakuritsu_share_subgroup.wgsl'
import randomSource from '../shaders/random.wgsl'
import { empty, Tensor } from '../tensor.ts'
import { linear, matmul } from './matmul.ts'

export type MaskGradient = 'straight-through' | 'exact'

export interface KakuritsuOptions {
  /** Decides the mask, with the sample's number, the cell and the input. */
  key: Key
  /**
   * 'straight-through' ignores the mask backwards, as the original did: dx = dy · Wᵀ, dW = xᵀ · dy.
   * 'exact' is the gradient of what was computed, with the same mask.
   */
  maskGradient: MaskGradient
  /** Which sample of the step x's first row is, where a step is computed in parts; 0 unless given. */
  sampleOffset?: number
}

/**
 * y[b,n] = Σ_i M[b,n,i] · W[i,n] · x[b,i], M ~ Bernoulli(p); no rescaling by 1/p, no bias.
 * p = 0 gives zeros; p = 1 is `linear`, bit for bit; between them p is rounded to a multiple of 2^-32.
 * @param x [N, in]
 * @param weight [in, out]
 * @returns [N, out]
 * @throws ShapeError when the shapes do not fit; RangeError when p is outside [0, 1] or the key holds an odd number.
 */
export function kakuritsuLinear(x: Tensor, weight: Tensor, p: number, options: KakuritsuOptions): Tensor {
  const { key, maskGradient, sampleOffset = 0 } = options
  checkShapes(x, weight)
  const threshold = probabilityBits('kakuritsuLinear', p)
  if (p === 1) return linear(x, weight)
  const [batch, inputs] = x.shape
  const cells = weight.shape[1]
  const [key0, key1, key2, key3] = keyWords(key)
  const params = { batch, inputs, cells, first_sample: sampleOffset, p: threshold, key0, key1, key2, key3 }

  /** A masked sum, or zeros where no synapse takes part. */
  const masked = (kernel: MaskedKernel, bindings: Tensor[], shape: number[]): Tensor => {
    if (p === 0) return Tensor.zeros(x.device, shape)
    const out = empty(x.device, shape)
    run(x.device, kernel, params, [...bindings, out])
    return out
  }

  const y = masked(forwardKernel, [x, weight], [batch, cells])
  return record('kakuritsuLinear', y, [x, weight], [x, weight], (dy) =>
    maskGradient === 'exact'
      ? [
          x.requiresGrad ? masked(xKernel, [weight, dy], [batch, inputs]) : null,
          weight.requiresGrad ? masked(weightKernel, [x, dy], [inputs, cells]) : null,
        ]
      : noGrad(() => [
          x.requiresGrad ? matmul(dy, weight, { transposeB: true }) : null,
          weight.requiresGrad ? matmul(x, dy, { transposeA: true }) : null,
        ]),
  )
}

/** A kernel as it runs where threads pass values on within a subgroup, and where each reads them itself. */
interface MaskedKernel {
  passing: Kernel
  reading: Kernel
  /** How many groups neighbouring threads spread over, and how many a thread's tile covers GROUPS of. */
  groups(params: Params): { across: number; along: number }
}

interface Params {
  batch: number
  inputs: number
  cells: number
  first_sample: number
}

/** The groups of kakuritsu_mask.wgsl. */
const cellGroups = ({ cells }: Params) => Math.ceil(cells / 32) * 8
const inputGroups = ({ inputs }: Params) => Math.ceil(inputs / 64) * 8
const sampleGroups = ({ batch, first_sample }: Params) => Math.ceil(((first_sample % 4) + batch) / 4)

const forwardKernel = maskedKernel('kakuritsu forward', forwardSource, (params) => ({
  across: cellGroups(params),
  along: sampleGroups(params),
}))
const xKernel = maskedKernel('kakuritsu backward x', xSource, (params) => ({
  across: inputGroups(params),
  along: sampleGroups(params),
}))
const weightKernel = maskedKernel('kakuritsu backward weight', weightSource, (params) => ({
  across: cellGroups(params),
  along: inputGroups(params),
}))

function maskedKernel(name: string, source: string, groups: MaskedKernel['groups']): MaskedKernel {
  const rest = [randomSource, maskSource, source]
  return {
    passing: new Kernel(name, [shareSubgroupSource, ...rest]),
    reading: new Kernel(name, [shareSource, ...rest], { THREADS: 64, GROUPS: 1 }),
    groups,
  }
}

/** Tiles of a thread on a software adapter: memory is dear there and registers are not, so the largest that is filled. */
const TILES = [1, 4, 16]

function run(device: Device, kernel: MaskedKernel, params: Params, bindings: readonly Tensor[]): void {
  const { across, along } = kernel.groups(params)
  const passes = device.software && device.subgroups !== null && device.subgroups.min >= 8
  const threads = passes ? 8 : 64
  const tile = passes ? (TILES.find((size) => size >= along) ?? TILES.at(-1)!) : 1
  const variant = passes ? kernel.passing.with({ GROUPS: tile }) : kernel.reading
  variant.run(device, { ...params }, bindings, [Math.ceil(across / threads), Math.ceil(along / tile)])
}

function checkShapes(x: Tensor, weight: Tensor): void {
  if (x.shape.length !== 2 || weight.shape.length !== 2)
    throw new ShapeError(
      `kakuritsuLinear takes x [N, in] and weight [in, out], given ${show(x.shape)} and ${show(weight.shape)}`,
    )
  if (x.shape[1] !== weight.shape[0])
    throw new ShapeError(
      `kakuritsuLinear: weight expects ${weight.shape[0]} inputs, x has ${x.shape[1]} (x is ${show(x.shape)})`,
    )
}
