/** Batches as the loops take them: images from a loader, or features that were computed before. */
import { type Device, normalizeImages, resampleImages, Tensor } from '../../engine/index.ts'
import { shuffled } from '../../engine/random.ts'
import { cropTensors } from '../images/crop_tensors.ts'
import type { Crops } from '../images/crops.ts'
import type { Batch, Loader } from './loader.ts'
import type { Source } from './sources/source.ts'

/** A batch that is ready for the model. */
export interface Samples {
  labels: Uint32Array
  /** Makes the model's input from the samples from `start` to before `end`; called within the step's scope. */
  input(device: Device, start: number, end: number): Tensor
  /** Which part of a batch it is, where several processes share one; all of it unless given. */
  part?: BatchPart
}

/** A process's part of a batch. */
export interface BatchPart {
  /** Samples of the batch before it. */
  readonly first: number
  /** Samples of the whole batch. */
  readonly total: number
  /** False where the process has none of them: its samples stand in and must change nothing. */
  readonly counts: boolean
}

/** Images that stand in where a rank has none: batch normalisation of one value would have no variance. */
export const STAND_INS = 2

/**
 * A loader's bytes, turned into normalised floats [N, H, W, C] on the GPU. Black images stand in for a part of a batch
 * that has none.
 */
export function imageSamples(batch: Batch, { mean, std }: Source): Samples {
  const [, height, width, channels] = batch.shape
  const bytesPerImage = height * width * channels
  const part = batch.part && { ...batch.part, counts: batch.size > 0 }
  const standIn = part?.counts === false
  const pixels = standIn ? new Uint8Array(STAND_INS * bytesPerImage) : batch.pixels
  const labels = standIn ? new Uint32Array(STAND_INS) : batch.labels
  const normalisation = { mean: mean.slice(0, channels), std: std.slice(0, channels) }
  return {
    labels,
    part,
    input(device, start, end) {
      const options = { shape: [end - start, height, width, channels], ...normalisation }
      if (batch.crops && !standIn) return normalizeImages(resized(device, batch.crops, height, start, end), options)
      const bytes = pixels.subarray(start * bytesPerImage, end * bytesPerImage)
      return normalizeImages(Tensor.from(device, asWords(bytes)), options)
    },
  }
}

/** The bytes of images that the GPU resizes. */
function resized(device: Device, crops: Crops, size: number, start: number, end: number): Tensor {
  const { tensors, options } = cropTensors(device, crops, size, start, end)
  return resampleImages(...tensors, options)
}

/** A loader's epoch as the loops take it. */
export async function* imageEpoch(loader: Loader, epoch: number, options: { fromStep?: number } = {}) {
  for await (const batch of loader.epoch(epoch, options)) yield imageSamples(batch, loader.source)
}

/** Bytes as 32-bit words, the last one padded: a view of the same memory where that is aligned and long enough. */
function asWords(bytes: Uint8Array<ArrayBuffer>): Uint32Array<ArrayBuffer> {
  const words = Math.ceil(bytes.length / 4)
  if (bytes.byteOffset % 4 === 0 && bytes.byteOffset + words * 4 <= bytes.buffer.byteLength)
    return new Uint32Array(bytes.buffer, bytes.byteOffset, words)
  const copy = new Uint32Array(words)
  new Uint8Array(copy.buffer).set(bytes)
  return copy
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
      const { width } = this
      yield {
        labels,
        input: (device: Device, first: number, end: number) =>
          Tensor.from(device, features.subarray(first * width, end * width), [end - first, width]),
      }
    }
  }
}
