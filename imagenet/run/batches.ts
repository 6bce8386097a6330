/** The batches of a run: images, or features that a frozen base computed of them. */
import type { Device } from '../../engine/index.ts'
import { CachedFeatures, type FrozenBase, weightsDigest } from '../data/features/index.ts'
import { Loader } from '../data/loader.ts'
import type { Samples } from '../data/samples.ts'
import { imageEpoch } from '../data/samples.ts'
import type { Dataset } from '../data/sources/source.ts'
import type { Replicas } from '../parallel/replicas.ts'
import type { Stopwatch } from './metrics.ts'
import type { SettledOptions } from './options.ts'

export class Batches {
  readonly train: Loader
  readonly val: Loader
  readonly #options: SettledOptions
  readonly #replicas: Replicas | undefined
  /** What stands for a loader, where features are cached. */
  readonly #features = new Map<Loader, CachedFeatures>()

  constructor(dataset: Dataset, options: SettledOptions, replicas: Replicas | undefined) {
    const { batchSize, imageSize, seed, workers, decoder, views, skipCorrupt, resize } = options
    const divide = replicas?.divide
    const common = { batchSize, imageSize, seed, workers, decoder, skipCorrupt, resizeOnGpu: resize === 'gpu', divide }
    this.train = new Loader(dataset.train, { ...common, shuffle: true, limit: options.limitTrain, views })
    this.val = new Loader(dataset.val, { ...common, shuffle: false, limit: options.limitVal })
    this.#options = options
    this.#replicas = replicas
  }

  /** Whether they are features: the head alone is then to be computed. */
  get areFeatures(): boolean {
    return this.#features.size > 0
  }

  /** Files that were left out so far, and why. */
  get skipped(): [file: string, reason: string][] {
    return [...this.train.skipped, ...this.val.skipped]
  }

  /** From here on they are features, kept in `folder`. */
  async cacheFeatures(device: Device, base: FrozenBase, folder: string): Promise<void> {
    const { microBatch, evaluate } = this.#options
    const options = { folder, weights: await weightsDigest(base), microBatch }
    for (const [name, loader] of Object.entries({ train: this.train, val: this.val }))
      if (name === 'val' || !evaluate)
        this.#features.set(loader, new CachedFeatures(device, base, loader, { ...options, name }))
  }

  /** Those of an epoch as the loops take them; notes in `waited` how long each was waited for. */
  async *epoch(
    loader: Loader,
    epoch: number,
    waited: Stopwatch,
    options: { fromStep: number; stopped: () => boolean },
  ): AsyncGenerator<Samples> {
    let before = performance.now()
    const whole = this.#features.get(loader)?.epoch(epoch, options)
    const parts = whole && this.#replicas ? this.#replicas.partsOf(whole) : whole
    for await (const samples of parts ?? imageEpoch(loader, epoch, options)) {
      waited.add((performance.now() - before) / 1000)
      yield samples
      before = performance.now()
    }
  }

  async close(): Promise<void> {
    for (const cached of this.#features.values()) cached.close()
    await Promise.all([this.train.close(), this.val.close()])
  }
}
