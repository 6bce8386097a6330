/** What all runs of an experiment share. */
import type { Device } from '../../engine/index.ts'
import type { Samples } from '../data/samples.ts'
import type { ExperimentFolder } from './folder.ts'
import type { Settings } from './settings.ts'

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
