/** Batches as the loops take them: images from a loader, or features that were computed before. */
import { type Device, normalizeImages, Tensor } from '../engine/index.ts'
import { shuffled } from '../engine/random.ts'
import type { Batch } from './loader.ts'
import type { Samples } from './loop.ts'
import type { Source } from './sources/source.ts'

/** A loader's bytes, turned into normalised floats [N, H, W, C] on the GPU. */
export function imageSamples(batch: Batch, { mean, std }: Source): Samples {
  const words = new Uint32Array(batch.pixels.buffer, batch.pixels.byteOffset, batch.pixels.byteLength / 4)
  const channels = batch.shape[3]
  const options = { shape: batch.shape, mean: mean.slice(0, channels), std: std.slice(0, channels) }
  return {
    labels: batch.labels,
    input: (device) => normalizeImages(Tensor.from(device, words), options),
  }
}

/** Features of images, kept on the CPU: [length, width] floats, row by row. */
export class FeatureSet {
  readonly length: number
  readonly width: number
  readonly #features: Float32Array
  readonly #labels: Uint32Array

  constructor(features: Float32Array, labels: Uint32Array) {
    this.length = labels.length
    this.width = features.length / labels.length
    this.#features = features
    this.#labels = labels
  }

  /** Batches an epoch. */
  steps(batchSize: number): number {
    return Math.ceil(this.length / batchSize)
  }

  /** All rows once, in batches; in their own order, or in the epoch's. */
  *batches(batchSize: number, order?: { seed: number; epoch: number }): Generator<Samples> {
    const rows = order ? shuffled(this.length, order.seed, order.epoch) : null
    for (let start = 0; start < this.length; start += batchSize) {
      const size = Math.min(batchSize, this.length - start)
      const features = new Float32Array(size * this.width)
      const labels = new Uint32Array(size)
      for (let i = 0; i < size; i++) {
        const row = rows ? rows[start + i] : start + i
        features.set(this.#features.subarray(row * this.width, (row + 1) * this.width), i * this.width)
        labels[i] = this.#labels[row]
      }
      yield { labels, input: (device: Device) => Tensor.from(device, features, [size, this.width]) }
    }
  }
}
