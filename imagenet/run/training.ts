/** One epoch of training. */
import type { Interrupt } from '../interrupt.ts'
import { pipelined, type Samples, trainStep } from '../loop.ts'
import { averages, countOf, progressLine, Stopwatch, shortNote } from '../metrics.ts'
import type { StepProfile } from '../profile.ts'
import { startProgress } from '../progress.ts'
import { rehearsed } from '../rehearsal.ts'
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
  const { batchSize, microBatch, printFreq, freezeBn } = session.options
  const { steps } = batches.train
  model.train()
  if (freezeBn) model.base.eval()
  model.exp.noise = null
  const times = { batch: new Stopwatch(), data: new Stopwatch() }
  const progress = startProgress(`Epoch ${state.epoch}`, steps, batchSize, state.step)
  let started = state.globalStep
  const work = (batch: Samples) => {
    profile?.beforeStep()
    const position = started++
    const beforePass = (sample: number) => generator.moveTo({ step: position, sample })
    const step = trainStep(device, network, optimizer, batch, { microBatch, beforePass, peers })
    step.then(
      (result) => session.taken.push(result),
      () => {},
    )
    return step
  }
  // All ranks stop at the same step: they hear of it with the numbers of an earlier one.
  let heard = false
  const stopped = () => (peers ? heard : interrupt.requested)
  const samples = batches.epoch(batches.train, state.epoch, times.data, { fromStep: state.step, stopped })
  const rehearse = (batch: Samples) => trainStep(device, network, optimizer, batch, { microBatch })
  const ready = rehearsed(device, network, samples, (batch) =>
    peers ? peers.silently(() => rehearse(batch)) : rehearse(batch),
  )
  let before = performance.now()
  for await (const result of pipelined(ready, work, stopped)) {
    times.batch.add((performance.now() - before) / 1000)
    before = performance.now()
    session.count(result)
    heard ||= result.interrupted === true
    const step = state.step - 1
    const average = averages(state.totals)
    const printed = step % printFreq === 0
    const line = `Epoch: [${state.epoch}][${countOf(step, steps)}] ${progressLine(times, result, average)}`
    progress.update(state.step, shortNote(average), printed ? line : undefined)
    if (printed) files.write('train', state.epoch, state.step, average, times.batch)
  }
  progress.end()
  await profile?.end()
}
