/**
 * What is done to an image before the network sees it, in torchvision's arithmetic on Pillow images. Bytes in, bytes
 * out: scaling to [0, 1] and normalisation by mean and deviation happen on the GPU.
 */
import type { Stream } from '../../engine/random.ts'
import { type Image, toRgb } from './image.ts'
import { type Box, resize } from './resample.ts'

/**
 * - `train`: RandomResizedCrop(size), RandomHorizontalFlip
 * - `val`: Resize(size · 256/224), CenterCrop(size)
 * - `digits`: MNIST for networks that want RGB at another size; neither cropped nor mirrored, for digits would change
 * - `none`: the image must have that size already, and keeps its channels
 */
export type TransformName = 'train' | 'val' | 'digits' | 'none'

/**
 * Makes an image [size, size, 3] ([size, size, channels] for `none`).
 *
 * @param random the image's own numbers; only `train` draws any
 * @throws RangeError when `none` is asked for another size than the image has
 */
export function transform(name: TransformName, image: Image, size: number, random: Stream): Image {
  if (name === 'train' || name === 'val') return carryOut(planOf(name, image, size, random), toRgb(image))
  if (name === 'digits') return fitDigits(image, size)
  if (image.width === size && image.height === size) return image
  throw new RangeError(
    `the image is ${image.width}×${image.height}, and without a transform it cannot become ${size}×${size}`,
  )
}

/** How an image is resized: the part `box` of it to `width` × `height`, and of that the part `window`, mirrored or not. */
export interface Plan {
  readonly box: Box
  readonly width: number
  readonly height: number
  readonly window: Box
  readonly mirrored: boolean
}

/** What `train` and `val` do to an image of some size. */
export function planOf(
  name: 'train' | 'val',
  image: { readonly width: number; readonly height: number },
  size: number,
  random: Stream,
): Plan {
  if (name === 'val') return centerCrop(image, Math.round((size * 256) / 224), size)
  const box = randomResizedCrop(image.width, image.height, random)
  const mirrored = random.uniform() < 0.5
  return { box, width: size, height: size, window: { left: 0, top: 0, width: size, height: size }, mirrored }
}

export function carryOut({ box, width, height, window, mirrored }: Plan, image: Image): Image {
  const resized = resize(image, box, width, height, window)
  if (mirrored) flipHorizontally(resized)
  return resized
}

/** The share of the image's area that a random crop takes, and its width by height, as torchvision's defaults. */
const CROP_SCALE = [0.08, 1] as const
const CROP_RATIO = [3 / 4, 4 / 3] as const
const CROP_TRIES = 10

/**
 * The rectangle that torchvision's `RandomResizedCrop.get_params` would take: area uniform, aspect ratio uniform in its
 * logarithm; after 10 that do not fit, the largest centred one whose ratio is allowed.
 */
export function randomResizedCrop(width: number, height: number, random: Stream): Box {
  for (let attempt = 0; attempt < CROP_TRIES; attempt++) {
    const area = width * height * random.uniform(...CROP_SCALE)
    const ratio = Math.exp(random.uniform(Math.log(CROP_RATIO[0]), Math.log(CROP_RATIO[1])))
    const w = roundHalfEven(Math.sqrt(area * ratio))
    const h = roundHalfEven(Math.sqrt(area / ratio))
    if (w > 0 && w <= width && h > 0 && h <= height) {
      const top = random.below(height - h + 1)
      const left = random.below(width - w + 1)
      return { left, top, width: w, height: h }
    }
  }
  const ratio = Math.min(Math.max(width / height, CROP_RATIO[0]), CROP_RATIO[1])
  const w = width / height > ratio ? roundHalfEven(height * ratio) : width
  const h = width / height < ratio ? roundHalfEven(width / ratio) : height
  return { left: Math.floor((width - w) / 2), top: Math.floor((height - h) / 2), width: w, height: h }
}

/** Mirrors left and right, in place. */
export function flipHorizontally({ width, height, channels, data }: Image): void {
  for (let y = 0; y < height; y++)
    for (let left = 0, right = width - 1; left < right; left++, right--)
      for (let c = 0; c < channels; c++) {
        const a = (y * width + left) * channels + c
        const b = (y * width + right) * channels + c
        const byte = data[a]
        data[a] = data[b]
        data[b] = byte
      }
}

/** Resizing so that the shorter side is `shorter`, then `size` × `size` from the middle; size ≤ shorter. */
export function centerCrop(
  { width, height }: { readonly width: number; readonly height: number },
  shorter: number,
  size: number,
): Plan {
  const scaled = (side: number) => Math.trunc((shorter * side) / Math.min(width, height))
  const [w, h] = [scaled(width), scaled(height)]
  const window = { left: roundHalfEven((w - size) / 2), top: roundHalfEven((h - size) / 2), width: size, height: size }
  return { box: { left: 0, top: 0, width, height }, width: w, height: h, window, mirrored: false }
}

/** The size at which digits of 28 pixels get a border of 2 black ones instead of being resized. */
const PADDED_DIGITS = 32

function fitDigits(image: Image, size: number): Image {
  const rgb = toRgb(image)
  const { width, height } = rgb
  if (size !== PADDED_DIGITS || width !== 28 || height !== 28)
    return resize(rgb, { left: 0, top: 0, width, height }, size, size)
  const border = (size - width) / 2
  const data = new Uint8Array(size * size * 3)
  for (let y = 0; y < height; y++)
    data.set(rgb.data.subarray(y * width * 3, (y + 1) * width * 3), ((y + border) * size + border) * 3)
  return { width: size, height: size, channels: 3, data }
}

/** Python's `round`: halves go to the even neighbour. */
function roundHalfEven(x: number): number {
  const rounded = Math.round(x)
  return rounded - x === 0.5 && rounded % 2 !== 0 ? rounded - 1 : rounded
}
