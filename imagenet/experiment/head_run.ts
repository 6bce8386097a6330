/** `runOne`: one head, from its first weights to its last evaluation, going on where an earlier process left off. */
import { Generator, head, SGD, StepLR } from '../../nn/index.ts'
import type { Samples } from '../data/samples.ts'
import { describeAdapter } from '../gpu/open.ts'
import { pipelined, trainStep } from '../run/loop.ts'
import { addBatch, averages, noTotals } from '../run/metrics.ts'
import { SCHEDULE } from '../run/options.ts'
import { versions } from '../versions.ts'
import { evaluate, type MaskedHead, validate } from './evaluate.ts'
import { missingEvaluations } from './folder.ts'
import { noiseKey, type RunSpec } from './plan.ts'
import type { EpochRecord, Evaluation, RunResult } from './results.ts'
import { bestOf, DamagedState, readHead, SavedProgress } from './saved.ts'
import type { Study } from './study.ts'
import { summarizeWeights } from './weights.ts'

export interface RunControls {
  /** Once true, the run stops soon and can go on later. */
  stopped?: () => boolean
  /** Called after each training step. `done` of `steps` of the whole run. */
  onStep?: (done: number, steps: number) => void
  onEpoch?: (epochs: readonly EpochRecord[]) => void
  /** Called with each file from which the run could go on, once it is written. */
  onSave?: (file: string) => void
  /** Tells people what happened on the way; standard error unless given. */
  say?: (line: string) => void
  /** Seconds of training that an interruption may cost; 10 unless given. */
  saveEvery?: number
}

/** Seconds. Writing a head and its momentum takes some 20 ms on MNIST's features. */
const SAVE_EVERY = 10

/**
 * Trains a head unless that was done before, then makes the evaluations that its result lacks, each saved when it is made.
 * Where what it would go on from is damaged, it says so and begins anew.
 * @returns its result; null when it was stopped
 * @throws Error when the head diverges
 */
export async function runOne(study: Study, spec: RunSpec, controls: RunControls = {}): Promise<RunResult | null> {
  try {
    return await goOn(study, spec, controls)
  } catch (error) {
    if (!(error instanceof DamagedState)) throw error
    const { say = console.error } = controls
    say(`${error.message}; training ${spec.id} anew`)
    study.folder.forget(spec)
    return goOn(study, spec, controls)
  }
}

/** `runOne`. @throws DamagedState */
async function goOn(study: Study, spec: RunSpec, controls: RunControls): Promise<RunResult | null> {
  const { stopped = () => false, onSave = () => {} } = controls
  const generator = new Generator(spec.seed)
  const { width } = study.features.train
  const exp = head(spec.head.arch, { ...spec.head, features: width, classes: study.settings.classes, generator })
  const masked = { exp, generator }
  try {
    const before = study.folder.result(spec)
    if (before) exp.loadStateDict(readHead(study.folder, spec))
    exp.to(study.device, { seed: spec.seed })
    let result = before ?? (await trainHead(study, spec, masked, { ...controls, stopped }))
    if (!result) return null
    // A plan with other evaluations than before keeps the head, and what was made.
    result = { ...result, spec }
    for (const evaluation of missingEvaluations(spec, result)) {
      const made = await evaluate(study, masked, evaluation, { firstPass: study.settings.epochs, stopped })
      if (!made) return null
      const others: Evaluation[] = result.evaluations.filter(({ noise }) => noiseKey(noise) !== noiseKey(made.noise))
      result = { ...result, evaluations: [...others, made] }
      onSave(study.folder.saveResult(result))
    }
    return result
  } finally {
    exp.free()
  }
}

/** Trains a head and leaves it as it was at its best epoch. Null when it was stopped. */
async function trainHead(
  study: Study,
  spec: RunSpec,
  masked: MaskedHead,
  { stopped, onStep, onEpoch, onSave = () => {}, saveEvery = SAVE_EVERY }: RunControls & { stopped: () => boolean },
): Promise<RunResult | null> {
  const { device, settings, features, folder } = study
  const { exp, generator } = masked
  const { epochs } = settings
  const optimizer = new SGD(exp.parameters(), settings)
  const scheduler = new StepLR(optimizer, SCHEDULE.stepSize, SCHEDULE.gamma)
  const progress = new SavedProgress(study, spec, { model: exp, optimizer, scheduler })
  const { steps } = features.train
  const records = progress.load()
  let saved = performance.now()
  try {
    for (let epoch = records.length; epoch < epochs; epoch++) {
      const start = performance.now()
      const totals = noTotals()
      let [started, done] = [epoch * steps, epoch * steps]
      const step = (batch: Samples) => {
        generator.moveTo({ step: started++ })
        return trainStep(device, exp, optimizer, batch)
      }
      const order = { seed: spec.seed, epoch }
      for await (const result of pipelined(features.train.batches(order), step, stopped)) {
        addBatch(totals, result)
        onStep?.(++done, epochs * steps)
      }
      if (stopped()) return null
      const { lr } = optimizer
      scheduler.step()
      const val = await validate(study, masked, epoch)
      records.push({ epoch, lr, train: averages(totals), val, seconds: (performance.now() - start) / 1000 })
      if (bestOf(records).epoch === epoch) progress.best = await exp.stateDict()
      onEpoch?.(records)
      if (performance.now() - saved > saveEvery * 1000) {
        onSave(await progress.save(records))
        saved = performance.now()
      }
    }
  } finally {
    optimizer.zeroGrad()
    optimizer.free()
  }
  exp.loadStateDict(progress.best)
  const result: RunResult = {
    spec,
    epochs: records,
    bestEpoch: bestOf(records).epoch,
    evaluations: [],
    weights: await summarizeWeights(exp),
    adapter: describeAdapter(device),
    versions: versions(),
  }
  progress.finish()
  onSave(folder.saveResult(result))
  return result
}
