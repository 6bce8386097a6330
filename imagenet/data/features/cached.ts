/** Features of a loader's images under a frozen base, computed once and kept in files; then taken epoch by epoch. */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { type Device, noGrad, scope, Tensor } from '../../../engine/index.ts'
import type { Module } from '../../../nn/index.ts'
import { pipelined } from '../../run/loop.ts'
import { startProgress } from '../../run/progress.ts'
import type { Batch, Loader } from '../loader.ts'
import type { Samples } from '../samples.ts'
import { imageSamples } from '../samples.ts'
import { featureKey, keyName } from './key.ts'
import { CHUNK_ROWS, FeatureStore } from './store.ts'

/** What computes features: in eval mode, so that an image's do not depend on the images beside it. */
export interface FrozenBase extends Module {
  /** How many it gives. */
  readonly features: number
}

export interface CacheOptions {
  /** Where the files go. */
  readonly folder: string
  /** For file names and people: `train`, `val`. */
  readonly name: string
  /** `weightsDigest` of the base. */
  readonly weights: string
  /** Images that pass through the base at a time; a batch unless given. */
  readonly microBatch?: number
  /** What people are told: that features are computed, and why. */
  readonly say?: (line: string) => void
  /** Called with the file of the features once more of them are in it. */
  readonly onSave?: (file: string) => void
}

/**
 * Stands for a loader, and gives features [batch, width] in place of its images: the same images in the same order and
 * batches, epoch by epoch, so that a head trains on them to the same bits. Each of the loader's views is computed when
 * an epoch first asks for it.
 */
export class CachedFeatures {
  readonly width: number
  readonly #device: Device
  readonly #base: FrozenBase
  readonly #loader: Loader
  readonly #options: CacheOptions
  readonly #stores = new Map<number, FeatureStore>()
  /** The row of each of the source's images. */
  readonly #rowOf: Uint32Array
  /** Fingerprint of the loader's images. */
  #images: string | undefined

  /** @throws Error when the base is in train mode, or the loader has no end of views */
  constructor(device: Device, base: FrozenBase, loader: Loader, options: CacheOptions) {
    if (base.training) throw new Error('features are those of a base in eval mode: call base.eval() first')
    if (loader.recipe.transform === 'train' && loader.views === undefined)
      throw new Error('features of augmented images want a loader with a number of views')
    this.width = base.features
    this.#device = device
    this.#base = base
    this.#loader = loader
    this.#options = options
    this.#rowOf = new Uint32Array(loader.source.length)
    for (const [row, index] of loader.sampler.inOrder().entries()) this.#rowOf[index] = row
  }

  /**
   * The batches of an epoch, as `Loader.epoch` has them.
   * @param options.stopped once true, what is being computed is left, to go on at another time, and the epoch ends
   */
  async *epoch(
    epoch: number,
    { fromStep = 0, stopped = () => false }: { fromStep?: number; stopped?: () => boolean } = {},
  ): AsyncGenerator<Samples, void, undefined> {
    const { sampler, batchSize } = this.#loader
    const store = await this.#view(this.#loader.viewOf(epoch), stopped)
    if (!store) return
    const indices = sampler.epoch(epoch)
    const take = (start: number) => this.#samples(store, indices.subarray(start, start + batchSize))
    let next = take(fromStep * batchSize)
    for (let start = fromStep * batchSize; start < indices.length; start += batchSize) {
      const samples = await next
      next = take(start + batchSize) // read while the GPU is at this one
      next.catch(() => {}) // one that fails is reported when its turn comes
      yield samples
    }
  }

  close(): void {
    for (const store of this.#stores.values()) store.close()
    this.#stores.clear()
  }

  async #samples(store: FeatureStore, indices: Uint32Array): Promise<Samples> {
    const { source } = this.#loader
    const wanted = indices.filter((index) => !store.skipped.has(this.#rowOf[index]))
    const features = await store.read(wanted.map((index) => this.#rowOf[index]))
    const { width } = this
    return {
      labels: wanted.map((index) => source.label(index)),
      input: (device, start, end) =>
        Tensor.from(device, features.subarray(start * width, end * width), [end - start, width]),
    }
  }

  /** The features of a view, all of them; undefined when their computation was stopped. */
  async #view(view: number, stopped: () => boolean): Promise<FeatureStore | undefined> {
    let store = this.#stores.get(view)
    if (!store) {
      store = this.#open(view)
      this.#stores.set(view, store)
    }
    for (const { first, end } of store.missing()) await this.#compute(store, view, first, end, stopped)
    if (store.missing().length > 0) return undefined
    const { source, sampler, skipped } = this.#loader
    const indices = sampler.inOrder()
    for (const row of store.skipped) {
      const file = source.path?.(indices[row]) ?? `image ${indices[row]}`
      if (!skipped.has(file)) skipped.set(file, 'it could not be decoded when its features were computed')
    }
    return store
  }

  #open(view: number): FeatureStore {
    const { folder, weights, say = console.log } = this.#options
    const { source, sampler } = this.#loader
    // Each of 1.28 million files is asked for its times: once is enough.
    this.#images ??= source.fingerprint(sampler.inOrder())
    const key = featureKey(this.#device, this.#loader, { weights, images: this.#images, view })
    const title = this.#title(view)
    const prefix = `${title.replaceAll(' ', '-')}-`
    const file = `${prefix}${keyName(key)}`
    const others = filesOf(folder).filter((other) => other.endsWith('.f32') && other.startsWith(prefix))
    const isNew = !others.includes(`${file}.f32`)
    const store = new FeatureStore(join(folder, file), { key, rows: this.#loader.length, width: this.width })
    const rows = store.missing().reduce((sum, { first, end }) => sum + end - first, 0)
    const why = store.damaged > 0 ? `; ${store.damaged} chunks were damaged` : ''
    const stale = isNew && others.length > 0 ? `; files in ${folder} are of other weights, images or settings` : ''
    if (rows > 0) say(`features of ${title}: computing ${rows} of ${store.rows}${why}${stale}`)
    else say(`features of ${title}: ${store.rows} from ${join(folder, file)}.f32`)
    return store
  }

  #title(view: number): string {
    const { name } = this.#options
    return this.#loader.recipe.transform === 'train' ? `${name} view ${view}` : name
  }

  /** Computes rows `first` to before `end`, whole chunks, and stores each when it is done. */
  async #compute(store: FeatureStore, view: number, first: number, end: number, stopped: () => boolean): Promise<void> {
    const { sampler, batchSize } = this.#loader
    const wanted = sampler.inOrder().subarray(first, end)
    const progress = startProgress(`features of ${this.#title(view)}`, Math.ceil(wanted.length / batchSize), batchSize)
    let chunk = new Float32Array(Math.min(CHUNK_ROWS, end - first) * this.width)
    let chunkStart = first
    let skipped: number[] = []
    let row = first
    let steps = 0
    const work = async (batch: Batch) => ({ batch, features: await this.#forward(batch) })
    for await (const { batch, features } of pipelined(this.#loader.batches(wanted, view), work, stopped)) {
      const batchEnd = Math.min(row + batchSize, end)
      for (let made = 0; row < batchEnd; ) {
        if (batch.indices[made] === wanted[row - first]) {
          chunk.set(features.subarray(made * this.width, (made + 1) * this.width), (row - chunkStart) * this.width)
          made++
        } else skipped.push(row)
        row++
        if (row - chunkStart < CHUNK_ROWS && row < end) continue
        store.write(chunkStart, chunk, skipped)
        this.#options.onSave?.(store.file)
        chunkStart = row
        skipped = []
        chunk = new Float32Array(Math.min(CHUNK_ROWS, end - row) * this.width)
      }
      progress.update(++steps, `${row} images`)
    }
    progress.end()
  }

  /** [batch.size, width] */
  async #forward(batch: Batch): Promise<Float32Array> {
    const { microBatch = batch.size } = this.#options
    const { input } = imageSamples(batch, this.#loader.source)
    const features = new Float32Array(batch.size * this.width)
    for (let start = 0; start < batch.size; start += microBatch) {
      const end = Math.min(start + microBatch, batch.size)
      const part = scope(() => noGrad(() => this.#base.call(input(this.#device, start, end)).read()))
      features.set(await part, start * this.width)
    }
    return features
  }
}

/** Names in a folder; none where there is no folder. */
function filesOf(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}
