/** Works through a plan: what is complete is left alone, what fails does not stop the rest. */
import type { ExperimentDevice } from './device.ts'
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
  /** Something happened to a run that goes on. */
  noted(spec: RunSpec, line: string): void
}

export interface WorkOptions {
  gpu: ExperimentDevice
  watcher: Watcher
  stopped: () => boolean
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
 * Runs one after the other, going on with one whose device was lost; each leaves its result or its error in its folder.
 * @param plan the runs that are to be done here: all that are not complete, or a part of them
 * @param run `runOne`, unless a test has another
 */
export async function runPlan(
  study: Omit<Study, 'device'>,
  plan: readonly RunSpec[],
  { gpu, watcher, stopped }: WorkOptions,
  run: typeof runOne = runOne,
): Promise<Worked> {
  const failed: RunSpec[] = []
  for (const spec of plan) {
    if (stopped()) break
    watcher.started(spec)
    const controls = {
      stopped,
      onStep: (done: number, steps: number) => watcher.stepped(spec, done, steps),
      onEpoch: (epochs: readonly EpochRecord[]) => watcher.epochEnded(spec, epochs),
      say: (line: string) => watcher.noted(spec, line),
    }
    try {
      const result = await gpu.recovering(
        (device, onSave) => run({ ...study, device }, spec, { ...controls, onSave }),
        { from: study.folder.saved(spec), say: controls.say },
      )
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
