import type { Key } from '../engine/random.ts'

/** A training step, or a validation. */
export interface Position {
  /** Validation draws masks that no training step draws; `train` unless given. */
  phase?: 'train' | 'validation'
  /** Which step (or which validation) of the run: a whole number in [0, 2^31). */
  step: number
  /** Which sample of the step the batch begins with, where a step is computed in several batches; 0 unless given. */
  sample?: number
}

/** Steps of validation begin here: the upper half of a key's step word. */
const VALIDATION = 2 ** 31

/**
 * Where the random masks of a model come from. It holds no state that runs on by itself: a mask is a function of the
 * seed, the layer, the position and the sample, so whoever sets the position before a forward pass repeats or resumes
 * a run. Two passes at one position draw the same masks.
 */
export class Generator {
  /** A whole number in [0, 2^53). */
  readonly seed: number
  #position: Required<Position> = { phase: 'train', step: 0, sample: 0 }
  #layers = 0

  constructor(seed = 0) {
    this.seed = seed
  }

  /** @throws RangeError when the step is out of range. */
  moveTo({ phase = 'train', step, sample = 0 }: Position): void {
    if (!Number.isInteger(step) || step < 0 || step >= VALIDATION)
      throw new RangeError(`a step is a whole number from 0 to 2^31 - 1, given ${step}`)
    this.#position = { phase, step, sample }
  }

  /** The number of the next layer that draws from it; called when the layer is made. */
  addLayer(): number {
    return this.#layers++
  }

  /** What an op needs to draw the masks of a layer at the current position. */
  draw(layer: number): { key: Key; sampleOffset: number } {
    const { phase, step, sample } = this.#position
    const key = { seed: this.seed, layer, step: phase === 'validation' ? VALIDATION + step : step }
    return { key, sampleOffset: sample }
  }
}
