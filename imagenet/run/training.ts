/** One epoch of training. */

import type { Samples } from '../data/samples.ts'
import { DivergedError } from '../errors.ts'
import type { Interrupt } from './interrupt.ts'
import { type Pause, pipelined, STEPS_IN_FLIGHT, trainStep } from './loop.ts'
import { averages, type BatchResult, countOf, progressLine, Stopwatch, shortNote } from './metrics.ts'
import type { StepProfile } from './profile.ts'
import { startProgress } from './progress.ts'
import { rehearsed } from './rehearsal.ts'
import type { RunFiles } from './run_files.ts'
import type { Session } from './session.ts'

/** Trains from where the session is to the epoch's end, or until asked to stop. */
export async function trainEpoch(
  session: Session,
  files: RunFiles,
  interrupt: Interrupt,
  profile: StepProfile | null,
): Promise<void> {
  const { device, model, network, optimizer, generator, batches, state, replicas: peers } = session
  const { batchSize, microBatch, printFreq, freezeBn, clipGradNorm, detectAnomaly } = session.options
  const { steps } = batches.train
  model.train()
  if (freezeBn) model.base.eval()
  model.exp.noise = null
  const times = { batch: new Stopwatch(), data: new Stopwatch() }
  const progress = startProgress(`Epoch ${state.epoch}`, steps, batchSize, state.step)
  const [firstStep, firstPlace] = [state.globalStep, state.step]
  let started = firstStep
  const common = { microBatch, peers, clipGradNorm, detectAnomaly }
  const isPrinted = (step: number) => step % printFreq === 0
  const work = (batch: Samples) => {
    profile?.beforeStep()
    const position = started++
    const beforePass = (sample: number) => generator.moveTo({ step: position, sample })
    const gradNorm = isPrinted(firstPlace + position - firstStep)
    const step = trainStep(device, network, optimizer, batch, { ...common, beforePass, gradNorm })
    session.follow(step)
    return step
  }
  // All ranks stop at the same step. They hear of it with the numbers of one; the next few may be under way on some.
  let end = Infinity
  const stopped = () => (peers ? started >= end : interrupt.requested)
  const samples = batches.epoch(batches.train, state.epoch, times.data, { fromStep: state.step, stopped })
  // Steps that are printed take other kernels: their gradients are wanted.
  const rehearse = (batch: Samples) =>
    Promise.all(
      [true, false].map((gradNorm) =>
        trainStep(device, network, optimizer, batch, { microBatch, clipGradNorm, gradNorm }),
      ),
    )
  const ready = rehearsed(device, network, samples, (batch) =>
    peers ? peers.silently(() => rehearse(batch)) : rehearse(batch),
  )
  const saving: Pause = { due: () => files.isDue(started), run: () => files.save() }
  let before = performance.now()
  for await (const result of pipelined(ready, work, stopped, saving)) {
    times.batch.add((performance.now() - before) / 1000)
    before = performance.now()
    refuseDivergence(result, session, files)
    session.count(result)
    if (result.interrupted) end = Math.min(end, state.globalStep + STEPS_IN_FLIGHT)
    const step = state.step - 1
    const average = averages(state.totals)
    const printed = isPrinted(step)
    const line = `Epoch: [${state.epoch}][${countOf(step, steps)}] ${progressLine(times, result, average)}`
    progress.update(state.step, shortNote(average), printed ? line : undefined)
    if (printed) files.write('train', state.epoch, state.step, average, times.batch, result.gradNorm)
  }
  progress.end()
  await profile?.end()
}

/** @throws DivergedError when a step's numbers are not finite */
function refuseDivergence(
  { loss, gradNorm = 0, anomaly }: BatchResult,
  { state, options }: Session,
  files: RunFiles,
): void {
  if (Number.isFinite(loss) && Number.isFinite(gradNorm) && !anomaly) return
  const where = `at epoch ${state.epoch}, step ${state.step}`
  const what = Number.isFinite(loss) ? `the gradient's norm is ${gradNorm}` : `the loss is ${loss}`
  const first = anomaly ? `${anomaly} is the first that is not finite` : null
  const hint = options.detectAnomaly ? null : '--detect-anomaly names the layer'
  const advice = ['lower --lr or set --clip-grad-norm', hint, files.last && `${files.last} is from before`]
  throw new DivergedError(`the run has diverged ${where}: ${[first ?? what, ...advice].filter(Boolean).join('; ')}`)
}
