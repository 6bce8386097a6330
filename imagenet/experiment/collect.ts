/** `results.json` from the files of the runs. */
import { UsageError } from '../errors.ts'
import type { ExperimentFolder } from './folder.ts'
import { RESULTS_SCHEMA, type Results } from './results.ts'
import { completeRuns } from './runner.ts'
import { summarize } from './summary.ts'

/** @throws UsageError when the folder holds no experiment */
export function collectResults(folder: ExperimentFolder): Results {
  const experiment = folder.experiment()
  if (!experiment) throw new UsageError(`${folder.path} holds no experiment: it has no experiment.json`)
  const { settings, command, plan } = experiment
  const runs = completeRuns(folder, plan)
  const complete = new Set(runs.map(({ spec }) => spec.id))
  return {
    schema: RESULTS_SCHEMA,
    name: folder.name,
    command,
    settings,
    base: folder.base() ?? { acc1: null, seconds: null },
    runs,
    incomplete: plan
      .filter(({ id }) => !complete.has(id))
      .map((spec) => ({ id: spec.id, error: folder.failure(spec) })),
    summary: summarize(runs),
  }
}
