import type { TransformName } from '../../images/augment.ts'
import type { Image } from '../../images/image.ts'

/** Labelled images, numbered from 0. */
export interface Source {
  /** For people: `mnist train`, `/data/imagenet/val`. */
  readonly name: string
  /** Class names; a label is an index into them. */
  readonly classes: readonly string[]
  readonly length: number
  /** Of the images as `image` gives them. */
  readonly channels: 1 | 3
  /** What its images go through when nothing else is asked for. */
  readonly transform: TransformName
  /** Of the values in [0, 1], a number a channel that `transform` gives: what to normalise with. */
  readonly mean: readonly number[]
  readonly std: readonly number[]
  label(index: number): number
  /** Reads or makes an image. @throws DecodeError when its file is no image */
  image(index: number): Image
  /** A digest of some of its images, made without reading all their bytes where that takes long: equal while they are. */
  fingerprint(indices: Uint32Array): string
  /** The file of an image, for sources made of files: whoever has it can read and decode it elsewhere. */
  path?(index: number): string
}

/** What to train on and what to measure with; both have the same classes. */
export interface Dataset {
  readonly train: Source
  readonly val: Source
}

/** Of ImageNet's training images, as torchvision's models use them. */
export const IMAGENET_MEAN = [0.485, 0.456, 0.406] as const
export const IMAGENET_STD = [0.229, 0.224, 0.225] as const
