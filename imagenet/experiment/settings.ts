import type { ResNetName } from '../../nn/index.ts'
import type { Precision } from '../gpu/precision.ts'

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
