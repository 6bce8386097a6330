/** What the frozen base makes of the images: computed once for all heads, kept in files, read epoch by epoch. */
import type { Device } from '../../engine/index.ts'
import type { ResNet } from '../../nn/index.ts'
import { CachedFeatures, weightsDigest } from '../data/features/index.ts'
import { Loader } from '../data/loader.ts'
import type { Samples } from '../data/samples.ts'
import type { BaseOptions } from './base.ts'
import type { Features, Study } from './study.ts'

/** Features in files. */
class FeatureTable implements Features {
  readonly length: number
  readonly width: number
  readonly steps: number
  readonly #cached: CachedFeatures
  readonly #firstSeed: number
  /** Epochs of a seed: a multiple of the number of views, so that every seed begins with the first. */
  readonly #stride: number

  constructor(cached: CachedFeatures, loader: Loader, { epochs, baseSeed }: BaseOptions['settings']) {
    this.length = loader.length
    this.width = cached.width
    this.steps = loader.steps
    this.#cached = cached
    this.#firstSeed = baseSeed
    const views = loader.views ?? 1
    this.#stride = views * Math.ceil(epochs / views)
  }

  /** An epoch has a place of its own for every seed, so that each seed has its own orders but all share the views. */
  batches({ seed, epoch } = { seed: this.#firstSeed, epoch: 0 }): AsyncIterable<Samples> {
    return this.#cached.epoch((seed - this.#firstSeed) * this.#stride + epoch)
  }

  close(): void {
    this.#cached.close()
  }
}

/**
 * Features of the training images (of so many augmented views of each, or as validation transforms them) and of the
 * validation images. Null when it was stopped.
 * @param base in eval mode; not needed any more afterwards
 */
export async function openFeatures(
  device: Device,
  base: ResNet,
  { settings, dataset, folder, reading, stopped, onSave }: BaseOptions,
): Promise<Study['features'] | null> {
  const { batchSize, imageSize, baseSeed: seed, views } = settings
  const common = { batchSize, imageSize, seed, ...reading }
  const { transform } = dataset.val
  const train = new Loader(dataset.train, {
    ...common,
    shuffle: true,
    limit: settings.trainImages,
    views: views ?? 1,
    ...(views === null && { transform }),
  })
  const val = new Loader(dataset.val, { ...common, shuffle: false, limit: settings.valImages })
  const weights = await weightsDigest(base)
  const open = async (loader: Loader, name: string) => {
    const cached = new CachedFeatures(device, base, loader, { folder: folder.file('features'), name, weights, onSave })
    // Asking for a batch of each view has all of it computed.
    for (let view = 0; view < (loader.views ?? 1) && !stopped(); view++)
      for await (const _ of cached.epoch(view, { stopped })) break
    if (loader.skipped.size > 0)
      console.log(`${name}: ${loader.skipped.size} images cannot be decoded and are left out`)
    return new FeatureTable(cached, loader, settings)
  }
  try {
    const features = { train: await open(train, 'train'), val: await open(val, 'val') }
    return stopped() ? null : features
  } finally {
    await Promise.all([train.close(), val.close()])
  }
}
