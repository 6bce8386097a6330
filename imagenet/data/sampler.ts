/** Which images an epoch goes through, and in which order: a list of their global indices. */
import { shuffled } from '../../engine/random.ts'

export interface SamplerOptions {
  /** Of order: a whole number in [0, 2^53). */
  readonly seed: number
  /** Whether every epoch has an order of its own; otherwise it is the source's. */
  readonly shuffle: boolean
  /** Images an epoch: so many, evenly spaced over the source so that no class is left out; all by default. */
  readonly limit?: number
}

/**
 * What becomes of an image, its crop and its flip, is drawn for its global index, and the image is known by that index
 * wherever it is loaded: whoever takes a part of an epoch's list gets the same images as who takes all of it.
 */
export class Sampler {
  /** Images an epoch. */
  readonly length: number
  readonly #sourceLength: number
  readonly #options: SamplerOptions

  /** @param sourceLength images that there are */
  constructor(sourceLength: number, options: SamplerOptions) {
    this.#sourceLength = sourceLength
    this.length = Math.min(options.limit ?? sourceLength, sourceLength)
    this.#options = options
  }

  /** Indices of an epoch's images in their source, in the order in which they are to be taken. */
  epoch(epoch: number): Uint32Array<ArrayBuffer> {
    const { seed, shuffle } = this.#options
    const places = shuffle ? shuffled(this.length, seed, epoch) : undefined
    return Uint32Array.from({ length: this.length }, (_, i) => this.#indexOf(places ? places[i] : i))
  }

  /** The same images in the source's order: of features, the row of each. */
  inOrder(): Uint32Array<ArrayBuffer> {
    return Uint32Array.from({ length: this.length }, (_, i) => this.#indexOf(i))
  }

  #indexOf(place: number): number {
    return Math.floor((place * this.#sourceLength) / this.length)
  }
}
