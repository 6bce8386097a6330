import { shuffled } from '../engine/random.ts'
import type { TransformName } from './augment.ts'
import { newStopFlag, type StopFlag } from './job.ts'
import { makePixels, type Recipe } from './pixels.ts'
import { DecodePool } from './pool.ts'
import type { Source } from './sources/source.ts'

export interface LoaderOptions {
  readonly batchSize: number
  /** Side of the images that come out, in pixels. */
  readonly imageSize: number
  /** Of order and augmentation: a whole number in [0, 2^53). */
  readonly seed: number
  /** Whether every epoch has an order of its own; otherwise it is the source's. */
  readonly shuffle: boolean
  /** Threads that read, decode and transform files; with 0, and for sources without files, it is done while asked for. */
  readonly workers: number
  /** The source's own by default. */
  readonly transform?: TransformName
  /** Images an epoch: so many, evenly spaced over the source so that no class is left out; all by default. */
  readonly limit?: number
}

export interface Batch {
  /** u8 [batch, height, width, channels], its length padded to a multiple of 4. */
  readonly pixels: Uint8Array<ArrayBuffer>
  readonly shape: readonly [batch: number, height: number, width: number, channels: number]
  readonly labels: Uint32Array<ArrayBuffer>
  /** Of the images in their source. */
  readonly indices: Uint32Array<ArrayBuffer>
  /** Images in it: `batchSize`, or fewer in an epoch's last. */
  readonly size: number
}

/** Finished batches that may wait beside those that the workers are at. */
const BATCHES_WAITING = 2

/** Batches of a source. Which batches, in which order, with which pixels depends on nothing but source and options. */
export class Loader {
  readonly source: Source
  /** Images an epoch. */
  readonly length: number
  /** Batches an epoch. */
  readonly steps: number
  readonly #options: LoaderOptions
  readonly #recipe: Recipe
  readonly #pool: DecodePool | undefined

  /** @throws RangeError for options that are no whole numbers in their range */
  constructor(source: Source, options: LoaderOptions) {
    const { batchSize, imageSize, seed, workers, limit = source.length, transform = source.transform } = options
    for (const [name, value, least] of [
      ['batchSize', batchSize, 1],
      ['imageSize', imageSize, 1],
      ['seed', seed, 0],
      ['workers', workers, 0],
      ['limit', limit, 1],
    ] as const)
      if (!Number.isSafeInteger(value) || value < least)
        throw new RangeError(`${name} of a loader is a whole number from ${least}, given ${value}`)
    this.source = source
    this.length = Math.min(limit, source.length)
    this.steps = Math.ceil(this.length / batchSize)
    this.#options = options
    this.#recipe = { transform, imageSize, seed, channels: transform === 'none' ? source.channels : 3 }
    this.#pool = source.path && workers > 0 ? new DecodePool(workers) : undefined
  }

  /**
   * The batches of an epoch, in order. Leaving the loop early stops the work on those ahead.
   *
   * @param epoch from 0: with the seed, it decides on order and augmentation
   * @param options.fromStep the batch to begin with, to go on within an epoch as if the ones before had been taken
   * @throws DecodeError at the batch with a file that is no image
   */
  async *epoch(epoch: number, { fromStep = 0 } = {}): AsyncGenerator<Batch, void, undefined> {
    const order = this.#options.shuffle ? shuffled(this.length, this.#options.seed, epoch) : undefined
    const stop = newStopFlag()
    const ahead: Promise<Batch>[] = []
    const places = this.#pool ? this.#pool.size + BATCHES_WAITING : 1
    let next = fromStep
    try {
      for (let step = fromStep; step < this.steps; step++) {
        while (ahead.length < places && next < this.steps) {
          const batch = this.#make(epoch, this.#indices(next++, order), stop)
          batch.catch(() => {}) // one that fails is reported when its turn comes
          ahead.push(batch)
        }
        yield await ahead.shift()!
      }
    } finally {
      Atomics.store(stop, 0, 1)
    }
  }

  /** Ends the threads; to be called when no more batches are wanted. */
  async close(): Promise<void> {
    await this.#pool?.close()
  }

  /** The source's indices in a step's batch. */
  #indices(step: number, order: Uint32Array | undefined): Uint32Array<ArrayBuffer> {
    const start = step * this.#options.batchSize
    const size = Math.min(this.#options.batchSize, this.length - start)
    return Uint32Array.from({ length: size }, (_, i) => {
      const chosen = order ? order[start + i] : start + i
      return Math.floor((chosen * this.source.length) / this.length)
    })
  }

  async #make(epoch: number, indices: Uint32Array<ArrayBuffer>, stop: StopFlag): Promise<Batch> {
    const { source } = this
    const recipe = this.#recipe
    const paths = () => Array.from(indices, (index) => source.path!(index))
    const pixels = this.#pool
      ? await this.#pool.run({ recipe, epoch, indices, paths: paths(), stop })
      : makePixels(recipe, epoch, indices, (place) => source.image(indices[place]))
    const { imageSize, channels } = recipe
    return {
      pixels,
      shape: [indices.length, imageSize, imageSize, channels],
      labels: Uint32Array.from(indices, (index) => source.label(index)),
      indices,
      size: indices.length,
    }
  }
}
