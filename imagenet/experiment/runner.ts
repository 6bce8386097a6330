/** Works through a plan: what is complete is left alone, what fails does not stop the rest. */
import type { ExperimentFolder } from './folder.ts'
import { missingEvaluations } from './folder.ts'
import { runOne } from './head_run.ts'
import type { RunSpec } from './plan.ts'
import type { EpochRecord, RunResult } from './results.ts'
import type { Study } from './study.ts'

/** Who is told how the work goes. */
export interface Watcher {
  started(spec: RunSpec): void
  stepped(spec: RunSpec, done: number, steps: number): void
  epochEnded(spec: RunSpec, epochs: readonly EpochRecord[]): void
  finished(spec: RunSpec, result: RunResult): void
  failed(spec: RunSpec, error: Error): void
}

export interface Worked {
  failed: RunSpec[]
  stopped: boolean
}

/** Runs whose results lack nothing that the plan wants. */
export const completeRuns = (folder: ExperimentFolder, plan: readonly RunSpec[]): RunResult[] =>
  plan.flatMap((spec) => {
    const result = folder.result(spec)
    return result && missingEvaluations(spec, result).length === 0 ? { ...result, spec } : []
  })

/**
 * Runs one after the other; each leaves its result or its error in its folder.
 * @param plan the runs that are to be done here: all that are not complete, or a part of them
 * @param run `runOne`, unless a test has another
 */
export async function runPlan(
  study: Study,
  plan: readonly RunSpec[],
  { watcher, stopped }: { watcher: Watcher; stopped: () => boolean },
  run: typeof runOne = runOne,
): Promise<Worked> {
  const failed: RunSpec[] = []
  for (const spec of plan) {
    if (stopped()) break
    watcher.started(spec)
    try {
      const result = await run(study, spec, {
        stopped,
        onStep: (done, steps) => watcher.stepped(spec, done, steps),
        onEpoch: (epochs) => watcher.epochEnded(spec, epochs),
      })
      if (!result) break
      study.folder.noteFailure(spec, null)
      watcher.finished(spec, result)
    } catch (error) {
      failed.push(spec)
      study.folder.noteFailure(spec, (error as Error).message)
      watcher.failed(spec, error as Error)
    }
  }
  return { failed, stopped: stopped() }
}
