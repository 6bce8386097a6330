/**
 * The Kakuritsu layer: a linear layer in which every synapse takes part with probability p, drawn anew for every sample,
 * cell and input. Its mask is drawn where it is used and never stored; `shaders/kakuritsu_mask.wgsl` says how.
 */
import { noGrad, record } from '../autograd.ts'
import type { Device } from '../device.ts'
import { ShapeError, show } from '../errors.ts'
import { type Constants, Kernel } from '../kernel.ts'
import { type Key, keyWords, probabilityBits } from '../random.ts'
import weightSource from '../shaders/kakuritsu_backward_weight.wgsl'
import xSource from '../shaders/kakuritsu_backward_x.wgsl'
import forwardSource from '../shaders/kakuritsu_forward.wgsl'
import maskSource from '../shaders/kakuritsu_mask.wgsl'
import scalarsSource from '../shaders/kakuritsu_read_scalars.wgsl'
import vectorsSource from '../shaders/kakuritsu_read_vectors.wgsl'
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
  const { key, maskGradient, sampleOffset = 0 } = options
  checkShapes(x, weight)
  const threshold = probabilityBits('kakuritsuLinear', p, RESOLUTION)
  if (p === 1) return linear(x, weight)
  const [batch, inputs] = x.shape
  const cells = weight.shape[1]
  const [key0, key1, key2, key3] = keyWords(key)
  const params = { batch, inputs, cells, first_sample: sampleOffset, p: threshold, key0, key1, key2, key3 }

  /** A masked sum, or zeros where no synapse takes part. */
  const masked = (kernel: MaskedKernel, bindings: Tensor[], shape: number[]): Tensor => {
    if (p === 0) return Tensor.zeros(x.device, shape)
    const out = empty(x.device, shape)
    kernel.run(x.device, params, [...bindings, out])
    return out
  }

  const y = masked(forward, [x, weight], [batch, cells])
  return record('kakuritsuLinear', y, [x, weight], [x, weight], (dy) =>
    maskGradient === 'exact'
      ? [
          x.requiresGrad ? masked(backwardX, [weight, dy], [batch, inputs]) : null,
          weight.requiresGrad ? masked(backwardWeight, [x, dy], [inputs, cells]) : null,
        ]
      : noGrad(() => [
          x.requiresGrad ? matmul(dy, weight, { transposeB: true }) : null,
          weight.requiresGrad ? matmul(x, dy, { transposeA: true }) : null,
        ]),
  )
}

/**
 * How a kernel's threads get the values that they share and the vectors that they read; the shaders say why.
 * 'scalar' takes any size, the others rows of whole vectors of four.
 */
const FORMS = {
  subgroup: { threads: 8, sources: [shareSubgroupSource, vectorsSource] },
  vector: { threads: 64, sources: [shareSource, vectorsSource] },
  scalar: { threads: 64, sources: [shareSource, scalarsSource] },
}
type Form = keyof typeof FORMS

/** The form to use whatever the adapter, for tests and measurements. */
export const kakuritsuForm: { name: Form | null } = { name: null }

interface Params extends Readonly<Record<string, number>> {
  readonly batch: number
  readonly inputs: number
  readonly cells: number
  readonly first_sample: number
  readonly p: number
}

/** What a dispatch covers: neighbouring threads take neighbours `across`, workgroups and tiles go `along`. */
interface Tiles {
  across: number
  along: number
  constants?: Constants
}

/** A kernel that draws the mask, in the forms that it is used in. */
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

  run(device: Device, params: Params, bindings: readonly Tensor[]): void {
    const form = chooseForm(device, params)
    const { threads } = FORMS[form]
    const { across, along, constants } = this.#tiles(params, form)
    this.#kernel(form)
      .with({ THREADS: threads, FIRST_DIGITS: params.p === HALF ? 1 : 10, ...constants })
      .run(device, params, bindings, [Math.ceil(across / threads), along])
  }

  #kernel(form: Form): Kernel {
    let kernel = this.#forms.get(form)
    if (!kernel) {
      const sources = [...FORMS[form].sources, randomSource, maskSource, this.#source]
      this.#forms.set(form, (kernel = new Kernel(`${this.#name} ${form}`, sources)))
    }
    return kernel
  }
}

function chooseForm({ software, subgroups }: Device, { inputs, cells }: Params): Form {
  if (kakuritsuForm.name) return kakuritsuForm.name
  if (inputs % 4 !== 0 || cells % 4 !== 0) return 'scalar'
  return software && subgroups && subgroups.min >= FORMS.subgroup.threads ? 'subgroup' : 'vector'
}

/** Groups of 16 samples, counted from the step's first, that a batch touches. */
const sampleGroups = ({ batch, first_sample }: Params) => Math.ceil(((first_sample % 16) + batch) / 16)

const forward = new MaskedKernel('kakuritsu_forward', forwardSource, (params, form) => {
  const groups = sampleGroups(params)
  // Two groups share what is read of the weights, which is dear on a software adapter, as long as the code of a step fits
  // a CPU's instruction cache (32 KiB), which drawing all digits twice does not. A GPU would rather have threads.
  const together = form === 'subgroup' && groups > 1 && params.p === HALF ? 2 : 1
  const along = Math.ceil(groups / together)
  return { across: Math.ceil(params.cells / 4), along, constants: { SAMPLE_GROUPS: together } }
})

const backwardX = new MaskedKernel('kakuritsu_backward_x', xSource, (params) => ({
  across: Math.ceil(params.inputs / 4),
  along: sampleGroups(params),
}))

const backwardWeight = new MaskedKernel('kakuritsu_backward_weight', weightSource, ({ inputs, cells }) => ({
  across: Math.ceil(cells / 4),
  along: Math.ceil(inputs / 16),
}))

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
