/** What all runs of an experiment share. */
import type { Device } from '../../engine/index.ts'
import type { ResNetName } from '../../nn/index.ts'
import type { Precision } from '../gpu/precision.ts'
import type { Samples } from '../run/loop.ts'
import type { ExperimentFolder } from './folder.ts'

/** What decides the result of a run, beside its `RunSpec`. Written to `experiment.json`. */
export interface Settings {
  /** `mnist`, `dummy` or a folder of images. */
  dataset: string
  classes: number
  trainImages: number
  valImages: number
  /** Pixels a side. */
  imageSize: number
  /** Augmentations of each training image, taken in turn; null: training images are transformed as for validation. */
  views: number | null
  /** Whether images that cannot be decoded are left out. */
  skipCorrupt: boolean
  base: ResNetName
  /** Of the base, once it is frozen. */
  precision: Precision
  /** The file of the base's weights; null where the experiment trains it from zero, in `baseSteps` steps. */
  pretrained: string | null
  baseSteps: number | null
  /** Of the base's training. */
  baseSeed: number
  batchSize: number
  epochs: number
  lr: number
  momentum: number
  weightDecay: number
}

/** Features of labelled images. */
export interface Features {
  readonly length: number
  /** Features of an image. */
  readonly width: number
  /** Batches an epoch. */
  readonly steps: number
  /** All of them once, in batches; training images in the epoch's order. */
  batches(epoch?: { seed: number; epoch: number }): Iterable<Samples> | AsyncIterable<Samples>
  close(): void
}

/** What `runOne` needs: the frozen base's features, and where results go. */
export interface Study {
  device: Device
  settings: Settings
  features: { train: Features; val: Features }
  folder: ExperimentFolder
}
