import { imageStream } from '../engine/random.ts'
import { type TransformName, transform } from './augment.ts'
import type { Image } from './image.ts'

/** How images become a batch's pixels; plain data, so that it can be sent to a worker. */
export interface Recipe {
  readonly transform: TransformName
  readonly imageSize: number
  readonly channels: 1 | 3
  readonly seed: number
}

/**
 * The pixels of a batch, each image's a pure function of (seed, epoch, its index).
 *
 * @param indices of the images in their source
 * @param image decodes the image at a place of the batch
 * @returns u8 [indices.length, imageSize, imageSize, channels], its length padded to a multiple of 4
 */
export function makePixels(
  recipe: Recipe,
  epoch: number,
  indices: Uint32Array,
  image: (place: number) => Image,
): Uint8Array<ArrayBuffer> {
  const { imageSize, channels, seed } = recipe
  const imageBytes = imageSize * imageSize * channels
  const pixels = new Uint8Array(Math.ceil((indices.length * imageBytes) / 4) * 4)
  for (const [place, index] of indices.entries()) {
    const made = transform(recipe.transform, image(place), imageSize, imageStream(seed, epoch, index))
    pixels.set(made.data, place * imageBytes)
  }
  return pixels
}
