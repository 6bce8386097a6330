import type { TransformName } from '../images/augment.ts'
import type { Crops } from '../images/crops.ts'
import { decodeFileBy } from '../images/decode.ts'
import { chooseDecoder, type DecoderName } from '../images/decoder.ts'
import { makePixels, type Recipe, type Skipped } from '../images/pixels.ts'
import { newStopFlag, type StopFlag, throwIfStopped } from './job.ts'
import { DecodePool } from './pool.ts'
import { Sampler, type SamplerOptions } from './sampler.ts'
import type { Source } from './sources/source.ts'

/** From a number of images to the first of them that is wanted, and the one behind the last. */
export type Divide = (images: number) => readonly [start: number, end: number]

/** `seed`: of order and augmentation. */
export interface LoaderOptions extends SamplerOptions {
  readonly batchSize: number
  /** Side of the images that come out, in pixels. */
  readonly imageSize: number
  /** Threads that read, decode and transform files; with 0, and for sources without files, it is done while asked for. */
  readonly workers: number
  /** Of JPEG files; by default sharp where it is installed. */
  readonly decoder?: DecoderName
  /** The source's own by default. */
  readonly transform?: TransformName
  /** Augmentations of an image: epoch e takes the one numbered e mod `views`. Without it every epoch has one of its own. */
  readonly views?: number
  /** Leaves images that cannot be decoded out, and notes them in `skipped`; otherwise they are an error. */
  readonly skipCorrupt?: boolean
  /** Leaves resizing to the GPU, with the same result: batches of `train` and `val` hold crops in place of pixels. */
  readonly resizeOnGpu?: boolean
  /** Which of a batch's images are this process's, where several share each batch of an epoch. */
  readonly divide?: Divide
}

export interface Batch {
  /** u8 [batch, height, width, channels], its length padded to a multiple of 4. Empty where there are crops. */
  readonly pixels: Uint8Array<ArrayBuffer>
  /** What the GPU is to make the pixels of. */
  readonly crops?: Crops
  readonly shape: readonly [batch: number, height: number, width: number, channels: number]
  readonly labels: Uint32Array<ArrayBuffer>
  /** Of the images in their source. */
  readonly indices: Uint32Array<ArrayBuffer>
  /**
   * Images in it: `batchSize`, or fewer in an epoch's last. An image that is skipped leaves its batch that much smaller
   * (nothing takes its place, so no image counts twice); a batch can be empty.
   */
  readonly size: number
  /** Where it is in the batch of several processes that it is a part of. */
  readonly part?: { readonly first: number; readonly total: number }
}

interface Made {
  readonly batch: Batch
  readonly skipped: readonly Skipped[]
}

/** Finished batches that may wait beside those that the workers are at. */
const BATCHES_WAITING = 2

/** Batches of a source. Which batches, in which order, with which pixels depends on nothing but source and options. */
export class Loader {
  readonly source: Source
  readonly sampler: Sampler
  readonly recipe: Recipe
  readonly batchSize: number
  /** How many augmentations an image has; undefined: one an epoch. */
  readonly views: number | undefined
  /** Images an epoch. */
  readonly length: number
  /** Batches an epoch. */
  readonly steps: number
  /** Files that were left out of batches given so far, and why. */
  readonly skipped = new Map<string, string>()
  readonly #divide: Divide | undefined
  readonly #pool: DecodePool | undefined

  /** @throws RangeError for options that are no whole numbers in their range */
  constructor(source: Source, options: LoaderOptions) {
    const { batchSize, imageSize, seed, workers, limit = source.length, views } = options
    for (const [name, value, least] of [
      ['batchSize', batchSize, 1],
      ['imageSize', imageSize, 1],
      ['seed', seed, 0],
      ['workers', workers, 0],
      ['limit', limit, 1],
      ['views', views ?? 1, 1],
    ] as const)
      if (!Number.isSafeInteger(value) || value < least)
        throw new RangeError(`${name} of a loader is a whole number from ${least}, given ${value}`)
    const { transform = source.transform, skipCorrupt = false, resizeOnGpu = false } = options
    const decoder = options.decoder ?? (source.path ? chooseDecoder('auto') : 'jpeg-js')
    const channels = transform === 'none' ? source.channels : 3
    this.source = source
    this.sampler = new Sampler(source.length, options)
    this.length = this.sampler.length
    this.steps = Math.ceil(this.length / batchSize)
    this.batchSize = batchSize
    this.views = views
    this.recipe = { transform, imageSize, seed, channels, decoder, skipCorrupt, resizeOnGpu }
    this.#divide = options.divide
    this.#pool = source.path && workers > 0 ? new DecodePool(workers) : undefined
  }

  /**
   * The batches of an epoch, in order. Leaving the loop early stops the work on those ahead.
   *
   * @param epoch from 0: with the seed, it decides on order and augmentation
   * @param options.fromStep the batch to begin with, to go on within an epoch as if the ones before had been taken
   * @throws DecodeError at the batch with a file that is no image
   */
  epoch(epoch: number, { fromStep = 0 } = {}): AsyncGenerator<Batch, void, undefined> {
    const indices = this.sampler.epoch(epoch).subarray(fromStep * this.batchSize)
    return this.batches(indices, this.viewOf(epoch), this.#divide)
  }

  /** Which draw of the augmentation an epoch takes. */
  viewOf(epoch: number): number {
    if (this.recipe.transform !== 'train') return 0
    return this.views === undefined ? epoch : epoch % this.views
  }

  /**
   * Batches of the images listed, as `epoch` gives them.
   *
   * @param indices of the images in their source
   * @param view which draw of the augmentation
   * @param divide which part of each batch is wanted; all of it unless given
   */
  async *batches(
    indices: Uint32Array<ArrayBuffer>,
    view: number,
    divide?: Divide,
  ): AsyncGenerator<Batch, void, undefined> {
    const { batchSize } = this
    const stop = newStopFlag()
    const ahead: Promise<Made>[] = []
    const places = this.#pool ? this.#pool.size + BATCHES_WAITING : 1
    let next = 0
    try {
      for (let start = 0; start < indices.length; start += batchSize) {
        for (; ahead.length < places && next < indices.length; next += batchSize) {
          const made = this.#make(indices.slice(next, next + batchSize), view, stop, divide)
          made.catch(() => {}) // one that fails is reported when its turn comes
          ahead.push(made)
        }
        const { batch, skipped } = await ahead.shift()!
        for (const { file, reason } of skipped) this.skipped.set(file, reason)
        yield batch
      }
    } finally {
      Atomics.store(stop, 0, 1)
    }
  }

  /** Ends the threads; to be called when no more batches are wanted. */
  async close(): Promise<void> {
    await this.#pool?.close()
  }

  async #make(whole: Uint32Array<ArrayBuffer>, view: number, stop: StopFlag, divide?: Divide): Promise<Made> {
    const { source, recipe } = this
    const [first, last] = divide?.(whole.length) ?? [0, whole.length]
    const wanted = whole.subarray(first, last)
    const part = divide && { first, total: whole.length }
    const paths = source.path ? Array.from(wanted, (index) => source.path!(index)) : undefined
    const { pixels, crops, skipped } =
      paths && this.#pool
        ? await this.#pool.run({ recipe, view, indices: wanted, paths, stop })
        : await makePixels(recipe, view, wanted, (place) => {
            throwIfStopped(stop)
            return paths ? decodeFileBy(recipe.decoder, paths[place]) : source.image(wanted[place])
          })
    const left = new Set(skipped.map(({ place }) => place))
    const indices = left.size === 0 ? wanted : wanted.filter((_, place) => !left.has(place))
    const { imageSize, channels } = recipe
    const size = indices.length
    const labels = Uint32Array.from(indices, (index) => source.label(index))
    const shape = [size, imageSize, imageSize, channels] as const
    return { batch: { pixels, crops, shape, labels, indices, size, part }, skipped }
  }
}
