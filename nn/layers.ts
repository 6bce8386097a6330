/** Layers, as torch.nn has them: each is an op and what it keeps. Images are [N, H, W, C]. */
import {
  adaptiveAvgPool2d,
  type BatchSync,
  batchNorm2d,
  conv2d,
  dropout,
  flatten,
  foldBatchNorm,
  linear,
  maxPool2d,
  relu,
  syncBatchNorm2d,
  type Tensor,
  unscoped,
} from '../engine/index.ts'
import type { Generator } from './generator.ts'
import { byFanIn, constant, uniform } from './init.ts'
import { Module, pipe } from './module.ts'
import { fire, type SynapseOptions } from './synapses.ts'
import { Buffer, Counter, Parameter } from './variable.ts'

export interface Conv2dOptions {
  stride?: number
  padding?: number
  dilation?: number
  groups?: number
  bias?: boolean
}

/** What becomes of a convolution's sums: relu(sums · scale + bias + residual), as much of it as is given. */
export interface Epilogue {
  /** [outChannels] */
  scale?: Tensor
  bias?: Tensor
  /** Of the result's shape. */
  residual?: Tensor
  relu?: boolean
}

/** Convolution. x: [N, H, W, inChannels] → [N, OH, OW, outChannels]. */
export class Conv2d extends Module {
  readonly weight: Parameter
  readonly bias: Parameter | null
  readonly #options: { stride: number; padding: number; dilation: number; groups: number }

  /** @throws RangeError when the channels cannot be divided into the groups. */
  constructor(inChannels: number, outChannels: number, kernelSize: number, options: Conv2dOptions = {}) {
    super()
    const { stride = 1, padding = 0, dilation = 1, groups = 1, bias = true } = options
    if (inChannels % groups !== 0 || outChannels % groups !== 0)
      throw new RangeError(`Conv2d: ${inChannels} → ${outChannels} channels cannot be divided into ${groups} groups`)
    const shape = [kernelSize, kernelSize, inChannels / groups, outChannels]
    const init = byFanIn(kernelSize * kernelSize * (inChannels / groups))
    this.weight = new Parameter(shape, { layout: 'conv', init })
    this.bias = bias ? new Parameter([outChannels], { init }) : null
    this.#options = { stride, padding, dilation, groups }
  }

  override forward(x: Tensor): Tensor {
    return conv2d(x, this.weight.tensor, { ...this.#options, bias: this.bias?.tensor })
  }

  /** `forward` without the bias, and what follows it, in the same pass; without gradients. */
  convolve(x: Tensor, epilogue: Epilogue): Tensor {
    return conv2d(x, this.weight.tensor, { ...this.#options, ...epilogue })
  }
}

export interface LinearOptions {
  bias?: boolean
}

/** x · weight + bias. x: [N, inFeatures] → [N, outFeatures]. */
export class Linear extends Module {
  readonly weight: Parameter
  readonly bias: Parameter | null

  constructor(inFeatures: number, outFeatures: number, { bias = true }: LinearOptions = {}) {
    super()
    const init = byFanIn(inFeatures)
    this.weight = new Parameter([inFeatures, outFeatures], { layout: 'linear', init })
    this.bias = bias ? new Parameter([outFeatures], { init }) : null
  }

  override forward(x: Tensor): Tensor {
    return linear(x, this.weight.tensor, this.bias?.tensor)
  }
}

/** The bound of the weights that a Kakuritsu layer, and the plain one that it is compared with, starts from. */
export const KAKURITSU_BOUND = 0.1

export interface KakuritsuLinearOptions extends SynapseOptions {
  /** Where its masks come from. */
  generator: Generator
  /** Probability that a synapse takes part; 0.5 unless given. */
  p?: number
  /** The same in eval mode; p unless given. */
  evalP?: number
}

/** A linear layer without bias whose synapses take part with probability p. x: [N, inFeatures] → [N, outFeatures]. */
export class KakuritsuLinear extends Module {
  readonly weight: Parameter
  p: number
  evalP: number
  readonly #synapses: SynapseOptions
  readonly #generator: Generator
  readonly #layer: number

  constructor(inFeatures: number, outFeatures: number, options: KakuritsuLinearOptions) {
    super()
    const { generator, p = 0.5, evalP = p, ...synapses } = options
    this.weight = new Parameter([inFeatures, outFeatures], { layout: 'linear', init: uniform(KAKURITSU_BOUND) })
    this.p = p
    this.evalP = evalP
    this.#synapses = synapses
    this.#generator = generator
    this.#layer = generator.addLayer()
  }

  override forward(x: Tensor): Tensor {
    const p = this.training ? this.p : this.evalP
    return fire(x, this.weight.tensor, p, this.#generator.draw(this.#layer), this.#synapses)
  }
}

export interface BatchNorm2dLayerOptions {
  eps?: number
  momentum?: number
}

/** What follows a normalisation. */
export interface AfterNorm {
  /** Added to what was normalised, of its shape. */
  residual?: Tensor
  /** max(…, 0) in the end. */
  relu?: boolean
}

/** Batch normalisation. x: [N, H, W, features] → the same. */
export class BatchNorm2d extends Module {
  readonly weight: Parameter
  readonly bias: Parameter
  readonly runningMean: Buffer
  readonly runningVar: Buffer
  readonly numBatchesTracked = new Counter()
  /** In train mode, the processes with which a batch is shared; null for a batch that is all here. */
  sync: BatchSync | null = null
  readonly #options: { eps: number; momentum: number }
  /** `versions`: which contents of the state it was computed from. */
  #folded: { scale: Tensor; shift: Tensor; versions: string } | null = null

  constructor(features: number, { eps = 1e-5, momentum = 0.1 }: BatchNorm2dLayerOptions = {}) {
    super()
    this.weight = new Parameter([features], { init: constant(1) })
    this.bias = new Parameter([features], { init: constant(0) })
    this.runningMean = new Buffer([features], { init: constant(0) })
    this.runningVar = new Buffer([features], { init: constant(1) })
    this.#options = { eps, momentum }
  }

  override forward(x: Tensor): Tensor {
    return this.normalize(x)
  }

  /** `forward` and what follows it, in the same pass. */
  normalize(x: Tensor, after: AfterNorm = {}): Tensor {
    const { training } = this
    if (training) this.numBatchesTracked.value++
    const options = { ...this.#state, ...this.#options, ...after }
    return training && this.sync ? syncBatchNorm2d(x, options, this.sync) : batchNorm2d(x, { ...options, training })
  }

  /** What it does in eval mode, as x · scale + shift: [features] each. Computed anew when the state has changed. */
  fold(): { scale: Tensor; shift: Tensor } {
    const state = this.#state
    const versions = Object.values(state).map(({ storage: { id, version } }) => `${id}.${version}`)
    if (this.#folded?.versions !== String(versions)) {
      this.forget()
      const folded = unscoped(() => foldBatchNorm({ ...state, ...this.#options }))
      this.#folded = { ...folded, versions: String(versions) }
    }
    return this.#folded
  }

  protected override forget(): void {
    this.#folded?.scale.release()
    this.#folded?.shift.release()
    this.#folded = null
  }

  get #state() {
    return {
      weight: this.weight.tensor,
      bias: this.bias.tensor,
      runningMean: this.runningMean.tensor,
      runningVar: this.runningVar.tensor,
    }
  }
}

export class ReLU extends Module {
  override forward(x: Tensor): Tensor {
    return relu(x)
  }
}

export interface MaxPool2dLayerOptions {
  /** `kernelSize` unless given. */
  stride?: number
  padding?: number
}

/** x: [N, H, W, C] → [N, OH, OW, C]. */
export class MaxPool2d extends Module {
  readonly #options: { kernelSize: number; stride: number; padding: number }

  constructor(kernelSize: number, { stride = kernelSize, padding = 0 }: MaxPool2dLayerOptions = {}) {
    super()
    this.#options = { kernelSize, stride, padding }
  }

  override forward(x: Tensor): Tensor {
    return maxPool2d(x, this.#options)
  }
}

/** x: [N, H, W, C] → [N, rows, columns, C]. */
export class AdaptiveAvgPool2d extends Module {
  readonly #size: readonly [rows: number, columns: number]

  constructor(rows: number, columns = rows) {
    super()
    this.#size = [rows, columns]
  }

  override forward(x: Tensor): Tensor {
    return adaptiveAvgPool2d(x, this.#size)
  }
}

/** x: [N, …] → [N, the product of the rest], rows first: [N, H, W, C] gives features in the order H, W, C. */
export class Flatten extends Module {
  override forward(x: Tensor): Tensor {
    return flatten(x)
  }
}

/** In train mode each element is 0 with probability p and x / (1 − p) otherwise; in eval mode x. */
export class Dropout extends Module {
  readonly p: number
  readonly #generator: Generator
  readonly #layer: number

  constructor(p: number, generator: Generator) {
    super()
    this.p = p
    this.#generator = generator
    this.#layer = generator.addLayer()
  }

  override forward(x: Tensor): Tensor {
    return this.training ? dropout(x, this.p, this.#generator.draw(this.#layer)) : x
  }
}

/** Modules one after the other, named 0, 1, 2, … */
export class Sequential extends Module {
  readonly #modules: readonly Module[]

  constructor(...modules: Module[]) {
    super()
    this.#modules = modules
  }

  override children(): [name: string, module: Module][] {
    return this.#modules.map((module, i) => [String(i), module])
  }

  override forward(x: Tensor): Tensor {
    return pipe(x, ...this.#modules)
  }
}
