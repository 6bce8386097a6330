/** Experiments: many heads on one base, what they say together, and the report of it. */
export { collectResults } from './collect.ts'
export { openStudy, printTables, runExperiment } from './experiment.ts'
export { ExperimentFolder } from './folder.ts'
export { type RunControls, runOne } from './head_run.ts'
export {
  defaultOutput,
  EXPERIMENT_DEFAULTS,
  type ExperimentOptions,
  parseAblations,
  parseArchs,
  parseProbabilities,
  settleExperiment,
} from './options.ts'
export { type Ablation, planRuns, type RunSpec } from './plan.ts'
export { comparison } from './report/comparison.ts'
export { type Report, report } from './report/report.ts'
export { type Table, textTable } from './report/tables.ts'
export { writeReport } from './report/write.ts'
export type { Evaluation, Results, RunResult } from './results.ts'
export { runPlan, type Watcher } from './runner.ts'
export type { Settings } from './settings.ts'
export { parseShard } from './shard.ts'
export type { Study } from './study.ts'
export { describeNoise, TABLE, type TableRow } from './table.ts'
