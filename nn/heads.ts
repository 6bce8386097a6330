/** The heads of the experiment: two linear layers without bias on a network's features, and three kinds of noise. */
import { dropout, type MaskGradient, relu, type Tensor } from '../engine/index.ts'
import type { Generator } from './generator.ts'
import { uniform } from './init.ts'
import { KAKURITSU_BOUND, Linear } from './layers.ts'
import { Module, pipe } from './module.ts'
import { fire } from './synapses.ts'

/** Which noise a head is trained with; White is none. */
export const archs = ['Kakuritsu', 'Dropout', 'White'] as const
export type Arch = (typeof archs)[number]

export type HeadNoise =
  /** Each synapse takes part with probability p. `rescale` and `sharedMask` are as `SynapseOptions` has them. */
  | { kind: 'kakuritsu'; p: number; rescale?: boolean; sharedMask?: boolean }
  /** Each cell's output is dropped with probability p; the logits' too, unless `keepLogits`. */
  | { kind: 'dropout'; p: number; keepLogits?: boolean }
  | { kind: 'plain' }

export interface HeadOptions {
  features: number
  classes: number
  /** Cells of the layer between; 1000 unless given. */
  hidden?: number
  /** Kakuritsu's probability to take part, or Dropout's to drop; 0.5 unless given. */
  p?: number
  /** Of Kakuritsu layers; 'straight-through', the original's, unless given. */
  maskGradient?: MaskGradient
  /** Kakuritsu: whether sums are divided by p; not, as in the original, unless given. */
  rescale?: boolean
  /** Kakuritsu: whether all samples of a step share one mask; each has its own unless given. */
  sharedMask?: boolean
  /** Dropout: whether it spares the logits, where the original drops half of them. */
  keepLogits?: boolean
  /** Where the masks come from. */
  generator: Generator
}

/**
 * x: [N, features] → logits [N, classes]. The noise is the same in train and in eval mode, and any head can be given any
 * noise, since their weights are alike. Before each forward pass the generator must be moved to where it is.
 */
export class Head extends Module {
  readonly li1: Linear
  readonly li2: Linear
  /** Noise to use instead of that which the head is trained with; null for none. */
  noise: HeadNoise | null = null
  readonly #trainingNoise: HeadNoise
  readonly #maskGradient: MaskGradient
  readonly #generator: Generator
  readonly #layers: readonly [number, number]

  constructor(arch: Arch, options: HeadOptions) {
    super()
    const { features, classes, hidden = 1000, maskGradient = 'straight-through', generator } = options
    this.li1 = synapses(features, hidden)
    this.li2 = synapses(hidden, classes)
    this.#trainingNoise = noiseOf(arch, options)
    this.#maskGradient = maskGradient
    this.#generator = generator
    this.#layers = [generator.addLayer(), generator.addLayer()]
  }

  override forward(x: Tensor): Tensor {
    const { li1, li2 } = this
    const noise = this.noise ?? this.#trainingNoise
    const [layer1, layer2] = this.#layers
    switch (noise.kind) {
      case 'kakuritsu': {
        const { p, rescale, sharedMask } = noise
        const options = { rescale, sharedMask, maskGradient: this.#maskGradient }
        const masked = (li: Linear, layer: number) => (x: Tensor) =>
          fire(x, li.weight.tensor, p, this.#generator.draw(layer), options)
        return pipe(x, masked(li1, layer1), relu, masked(li2, layer2))
      }
      case 'dropout': {
        const drop = (layer: number) => (x: Tensor) => dropout(x, noise.p, this.#generator.draw(layer))
        return pipe(x, li1, drop(layer1), relu, li2, ...(noise.keepLogits ? [] : [drop(layer2)]))
      }
      case 'plain':
        return pipe(x, li1, relu, li2)
    }
  }
}

/** A head as the experiment trains it. */
export const head = (arch: Arch, options: HeadOptions): Head => new Head(arch, options)

/** The noise that a head of this kind is trained with. */
export function noiseOf(
  arch: Arch,
  { p = 0.5, rescale, sharedMask, keepLogits }: Pick<HeadOptions, 'p' | 'rescale' | 'sharedMask' | 'keepLogits'>,
): HeadNoise {
  switch (arch) {
    case 'Kakuritsu':
      return { kind: 'kakuritsu', p, ...(rescale && { rescale }), ...(sharedMask && { sharedMask }) }
    case 'Dropout':
      return { kind: 'dropout', p, ...(keepLogits && { keepLogits }) }
    case 'White':
      return { kind: 'plain' }
  }
}

function synapses(inFeatures: number, outFeatures: number): Linear {
  const layer = new Linear(inFeatures, outFeatures, { bias: false })
  layer.weight.init = uniform(KAKURITSU_BOUND)
  return layer
}
