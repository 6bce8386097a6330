/**
 * The Kakuritsu layer: a linear layer in which every synapse takes part with probability p, drawn anew for every sample,
 * cell and input. Its mask is drawn where it is used and never stored; `shaders/kakuritsu_mask.wgsl` says how.
 */
import { noGrad, record } from '../autograd.ts'
import type { Device } from '../device.ts'
import { ShapeError, show } from '../errors.ts'
import { type Constants, Kernel, spread } from '../kernel.ts'
import { type Key, keyWords, probabilityBits } from '../random.ts'
import weightSource from '../shaders/kakuritsu_backward_weight.wgsl'
import xSource from '../shaders/kakuritsu_backward_x.wgsl'
import forwardSource from '../shaders/kakuritsu_forward.wgsl'
import maskSource from '../shaders/kakuritsu_mask.wgsl'
import scalarsSource from '../shaders/kakuritsu_read_scalars.wgsl'
import texelsSource from '../shaders/kakuritsu_read_texels.wgsl'
import vectorsSource from '../shaders/kakuritsu_read_vectors.wgsl'
import shareSource from '../shaders/kakuritsu_share.wgsl'
import shareSubgroupSource from '../shaders/kakuritsu_share_subgroup.wgsl'
import randomSource from '../shaders/random.wgsl'
import { empty, scope, Tensor } from '../tensor.ts'
import { Texels } from '../texels.ts'
import { linear, matmul } from './matmul.ts'
import { resizeRows, resizeRowsInto } from './resize.ts'

export type MaskGradient = 'straight-through' | 'exact'

export interface KakuritsuOptions {
  /** Decides the mask, with the sample's number, the cell and the input. */
  key: Key
  /**
   * 'straight-through' (unless given) ignores the mask backwards, as the original did: dx = dy · Wᵀ, dW = xᵀ · dy.
   * 'exact' is the gradient of what was computed, with the same mask.
   */
  maskGradient?: MaskGradient
  /** Which sample of the step x's first row is, where a step is computed in parts; 0 unless given. */
  sampleOffset?: number
}

/** p counts in units of 1 / RESOLUTION. */
const RESOLUTION = 2 ** 32
const HALF = RESOLUTION / 2

/**
 * y[b,n] = Σ_i M[b,n,i] · W[i,n] · x[b,i], M ~ Bernoulli(p); no rescaling by 1/p, no bias.
 * p = 0 gives zeros; p = 1 is `linear`, bit for bit; between them p is rounded to a multiple of 2^-32, but not to 0 or 1.
 * @param x [N, in]
 * @param weight [in, out]
 * @returns [N, out]
 * @throws ShapeError when the shapes do not fit; RangeError when p is outside [0, 1] or a number of the key is.
 */
export function kakuritsuLinear(x: Tensor, weight: Tensor, p: number, options: KakuritsuOptions): Tensor {
  const { key, maskGradient = 'straight-through', sampleOffset = 0 } = options
  checkShapes(x, weight)
  const threshold = probabilityBits('kakuritsuLinear', p, RESOLUTION)
  if (p === 1) return linear(x, weight)
  const [batch, inputs] = x.shape
  const cells = weight.shape[1]
  const [key0, key1, key2, key3] = keyWords(key)
  const params = { batch, inputs, cells, first_sample: sampleOffset, p: threshold, key0, key1, key2, key3 }

  /** A masked sum, or zeros where no synapse takes part or nothing is summed. */
  const masked = (kernel: MaskedKernel, a: Tensor, b: Tensor, shape: readonly [number, number]): Tensor => {
    if (p === 0 || a.size === 0 || b.size === 0) return Tensor.zeros(x.device, shape)
    const out = empty(x.device, shape)
    kernel.run(params, a, b, out)
    return out
  }

  const y = masked(forward, x, weight, [batch, cells])
  return record('kakuritsuLinear', y, [x, weight], [x, weight], (dy) =>
    maskGradient === 'exact'
      ? [
          x.requiresGrad ? masked(backwardX, dy, weight, [batch, inputs]) : null,
          weight.requiresGrad ? masked(backwardWeight, x, dy, [inputs, cells]) : null,
        ]
      : noGrad(() => [
          x.requiresGrad ? matmul(dy, weight, { transposeB: true }) : null,
          weight.requiresGrad ? matmul(x, dy, { transposeA: true }) : null,
        ]),
  )
}

/** Threads of a workgroup, and how they read and get at values that all of them need; the shaders say why. */
const FORMS = {
  texels: { threads: 8, sources: [shareSubgroupSource, texelsSource] },
  vectors: { threads: 64, sources: [shareSource, vectorsSource] },
  scalars: { threads: 64, sources: [shareSource, scalarsSource] },
}
type Form = keyof typeof FORMS

/** Whether adapters are to share by subgroups, for tests and measurements; null leaves it to the adapter. */
export const kakuritsuSharing: { name: 'subgroup' | 'each' | null } = { name: null }

interface Params extends Readonly<Record<string, number>> {
  readonly batch: number
  readonly inputs: number
  readonly cells: number
  readonly first_sample: number
  readonly p: number
}

/**
 * What a dispatch covers: neighbouring threads take neighbours `across`, neighbouring workgroups go `along`, so that those
 * that read the same weights run at about the same time.
 */
interface Tiles {
  across: number
  along: number
  constants?: Constants
}

/** A kernel that draws the mask, in the forms that adapters and sizes want: out from a, which a workgroup shares, and b. */
class MaskedKernel {
  readonly #name: string
  readonly #source: string
  readonly #tiles: (params: Params, form: Form) => Tiles
  readonly #forms = new Map<Form, Kernel>()

  constructor(name: string, source: string, tiles: (params: Params, form: Form) => Tiles) {
    this.#name = name
    this.#source = source
    this.#tiles = tiles
  }

  run(params: Params, a: Tensor, b: Tensor, out: Tensor): void {
    const { device } = out
    const fit = [a, b].every((matrix) => Texels.fit(device, matrix.shape[0], wholeTexels(matrix)))
    if (sharesBySubgroups(device) && fit)
      scope(() => {
        const padded = columnsOf(out) % 4 === 0 ? out : empty(device, [out.shape[0], wholeTexels(out)])
        this.#dispatch('texels', params, [inWholeTexels(a), inWholeTexels(b), padded])
        if (padded !== out) resizeRowsInto(out, padded, columnsOf(padded), columnsOf(out))
      })
    else {
      const wholeVectors = [a, b, out].every((matrix) => columnsOf(matrix) % 4 === 0)
      this.#dispatch(wholeVectors ? 'vectors' : 'scalars', params, [a, b, out])
    }
  }

  #dispatch(form: Form, params: Params, bindings: readonly Tensor[]): void {
    const { device } = bindings[0]
    const { threads } = FORMS[form]
    const { across, along, constants } = this.#tiles(params, form)
    this.#form(form)
      .with({ THREADS: threads, ALL_DIGITS: String(params.p !== HALF), ...constants })
      .run(device, { ...params, along }, bindings, spread(device, along * Math.ceil(across / threads), 1))
  }

  #form(form: Form): Kernel {
    let kernel = this.#forms.get(form)
    if (!kernel) {
      const sources = [...FORMS[form].sources, randomSource, maskSource, this.#source]
      this.#forms.set(form, (kernel = new Kernel(`${this.#name} ${form}`, sources)))
    }
    return kernel
  }
}

const columnsOf = (matrix: Tensor): number => matrix.shape[1]
const wholeTexels = (matrix: Tensor): number => Math.ceil(columnsOf(matrix) / 4) * 4

const inWholeTexels = (matrix: Tensor): Tensor => resizeRows(matrix, columnsOf(matrix), wholeTexels(matrix))

function sharesBySubgroups(device: Device): boolean {
  if (kakuritsuSharing.name) return kakuritsuSharing.name === 'subgroup'
  const { software, subgroups } = device
  const inOne = subgroups !== null && subgroups.min >= FORMS.texels.threads
  return software && inOne
}

/** Groups of 16 samples, counted from the step's first, that a batch touches. */
const sampleGroups = ({ batch, first_sample }: Params) => Math.ceil(((first_sample % 16) + batch) / 16)

const forward = new MaskedKernel('kakuritsu_forward', forwardSource, (params, form) => {
  const groups = sampleGroups(params)
  // Two groups share what is read of the weights, which is dear on a software adapter. Where all digits are drawn, a step's
  // code would no longer fit a CPU's instruction cache (32 KiB) then; and a GPU would rather have threads.
  const together = form === 'texels' && groups > 1 && params.p === HALF ? 2 : 1
  const along = Math.ceil(groups / together)
  return { across: Math.ceil(params.cells / 4), along, constants: { SAMPLE_GROUPS: together } }
})

const backwardX = new MaskedKernel('kakuritsu_backward_x', xSource, (params) => ({
  across: Math.ceil(params.inputs / 4),
  along: sampleGroups(params),
}))

const backwardWeight = new MaskedKernel('kakuritsu_backward_weight', weightSource, ({ inputs, cells }, form) => {
  // More share what is read of dy; fewer leave more threads, and more registers to each.
  const quads = form === 'texels' ? 12 : 2
  return { across: Math.ceil(cells / 4), along: Math.ceil(inputs / (4 * quads)), constants: { QUADS: quads } }
})

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
