/** `results.json` and the files that it is made from: what an experiment found. Accuracies are in percent. */
import type { HeadNoise } from '../../nn/index.ts'
import type { AdapterDescription } from '../gpu/open.ts'
import type { Averages } from '../run/metrics.ts'
import type { Versions } from '../versions.ts'
import type { Calibration } from './judge.ts'
import type { Ablation, RunSpec } from './plan.ts'
import type { Settings } from './settings.ts'
import type { Compared, Described } from './statistics.ts'
import type { TableRow } from './table.ts'
import type { WeightsSummary } from './weights.ts'

/** Raised when a field changes its meaning or goes. */
export const RESULTS_SCHEMA = 1

export interface EpochRecord {
  /** From 0. */
  epoch: number
  lr: number
  /** Means over the epoch's steps, under the head's noise. */
  train: Averages
  /** One pass over the validation images, under the head's noise. */
  val: Averages
  seconds: number
}

/** A trained head, evaluated one way. */
export interface Evaluation {
  noise: HeadNoise
  /** One for each pass over the validation images. */
  passes: Averages[]
  calibration: Calibration
  /** The chance that two passes answer an image alike, in [0, 1]; null for a single pass. */
  agreement: number | null
  seconds: number
}

/** `runs/<id>/result.json`: one head. Complete when all of `spec.evaluations` are there. */
export interface RunResult {
  spec: RunSpec
  epochs: EpochRecord[]
  /** Whose weights were kept, and evaluated: the epoch of the best Acc@1 in validation. */
  bestEpoch: number
  evaluations: Evaluation[]
  weights: WeightsSummary
  adapter: AdapterDescription
  versions: Versions
}

/** `base.json`: the network under the heads. */
export interface BaseResult {
  /** In validation, under a last layer of its own; null for weights that were given. */
  acc1: number | null
  /** That its training took. */
  seconds: number | null
}

/** One kind of head, evaluated one way. Of each seed, the mean over its passes counts. */
export interface SummaryRow {
  variant: RunSpec['variant']
  head: RunSpec['head']
  evaluated: HeadNoise
  /** Whether that is the noise that the head is trained with. */
  own: boolean
  seeds: number[]
  acc1: Described
  acc5: Described
  loss: Described
  /** Expected calibration error, in [0, 1]. */
  ece: Described
  /** Between passes of one head, in [0, 1]; null for single passes. */
  agreement: Described | null
  /**
   * Standard deviation of Acc@1 between the stochastic passes of one trained head, pooled over seeds (the root of the mean
   * variance). It is apart from `acc1.sd`, which is between trained heads. Null for single passes.
   */
  passSd: number | null
  /** ImageNet's, where the published table has this row. */
  published: TableRow['published'] | null
}

/** K at its stochastic pass against D at its own, paired by seed. */
export interface Difference {
  acc1: Compared
  acc5: Compared
}

/** What one change does to K − D (Acc@1, stochastic passes, paired by seed). */
export interface Effect {
  ablation: Ablation
  /** The changed head's accuracy minus the original's. */
  change: Compared
  /** K − D with the changed head in its place. */
  difference: Compared
  /** The part of K − D that is gone then: 1 − difference / (K − D), of the means; null where K − D may well be 0. */
  share: number | null
}

/** What the runs say together. */
export interface Summary {
  rows: SummaryRow[]
  kMinusD: Difference | null
  effects: Effect[]
}

/** `results.json`. */
export interface Results {
  schema: typeof RESULTS_SCHEMA
  /** The folder's name. */
  name: string
  /** The command that ran last. */
  command: string
  settings: Settings
  base: BaseResult
  /** Complete ones, in the order of the plan. */
  runs: RunResult[]
  /** Those of the plan that are not complete, with the error of those that failed. */
  incomplete: { id: string; error: string | null }[]
  /** What follows from `runs`: `summarize` of summary.ts. */
  summary: Summary
}
