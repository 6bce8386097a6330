import { imageStream } from '../../engine/random.ts'
import { DecodeError, UnreadableError } from '../errors.ts'
import { type TransformName, transform } from './augment.ts'
import { CropGatherer, type Crops } from './crops.ts'
import type { DecoderName } from './decoder.ts'
import type { Image } from './image.ts'

/** How images become a batch's pixels; plain data, so that it can be sent to a worker. */
export interface Recipe {
  readonly transform: TransformName
  readonly imageSize: number
  readonly channels: 1 | 3
  readonly seed: number
  readonly decoder: DecoderName
  /** Whether images that cannot be decoded are left out instead of being an error. */
  readonly skipCorrupt: boolean
  /** Whether `train` and `val` leave resizing and mirroring to the GPU. */
  readonly resizeOnGpu: boolean
}

/** An image that was left out of a batch. */
export interface Skipped {
  /** In the batch as it was asked for. */
  readonly place: number
  readonly file: string
  readonly reason: string
}

export interface Pixels {
  /**
   * u8 [images, imageSize, imageSize, channels], its length padded to a multiple of 4: of the images that were made, in
   * their order. Empty where there are crops.
   */
  readonly pixels: Uint8Array<ArrayBuffer>
  /** What the GPU is to make the pixels of. */
  readonly crops?: Crops
  readonly skipped: readonly Skipped[]
}

/**
 * The pixels of a batch, each image's a pure function of (seed, view, its index).
 *
 * @param view which draw of the augmentation: usually the epoch
 * @param indices of the images in their source
 * @param image decodes the image at a place of the batch
 * @throws DecodeError unless such images are to be left out
 */
export async function makePixels(
  recipe: Recipe,
  view: number,
  indices: Uint32Array,
  image: (place: number) => Image | Promise<Image>,
): Promise<Pixels> {
  const { imageSize, channels, seed, skipCorrupt, transform: name } = recipe
  const gatherer = recipe.resizeOnGpu && (name === 'train' || name === 'val') ? new CropGatherer(name, imageSize) : null
  const imageBytes = imageSize * imageSize * channels
  const padded = (images: number) => Math.ceil((images * imageBytes) / 4) * 4
  const pixels = new Uint8Array(gatherer ? 0 : padded(indices.length))
  const skipped: Skipped[] = []
  let made = 0
  for (const [place, index] of indices.entries()) {
    try {
      const decoded = await image(place)
      const random = imageStream(seed, view, index)
      if (gatherer) gatherer.add(decoded, random)
      else pixels.set(transform(name, decoded, imageSize, random).data, made * imageBytes)
      made++
    } catch (error) {
      // A dataset that vanishes is not corrupt: nothing would be left of it.
      if (!skipCorrupt || !(error instanceof DecodeError) || error instanceof UnreadableError) throw error
      skipped.push({ place, file: error.file, reason: error.reason })
    }
  }
  if (gatherer) return { pixels, crops: gatherer.finish(), skipped }
  return { pixels: made === indices.length ? pixels : pixels.subarray(0, padded(made)), skipped }
}
