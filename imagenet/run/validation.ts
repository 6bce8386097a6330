/** One pass over the validation images. */

import type { Samples } from '../data/samples.ts'
import type { Interrupt } from './interrupt.ts'
import { evaluateStep, pipelined } from './loop.ts'
import {
  type Averages,
  addBatch,
  averages,
  countOf,
  noTotals,
  progressLine,
  Stopwatch,
  shortNote,
  validationLine,
} from './metrics.ts'
import { startProgress } from './progress.ts'
import { rehearsed } from './rehearsal.ts'
import type { RunFiles } from './run_files.ts'
import type { Session } from './session.ts'

/** Loss and accuracy on the validation images, the head under its evaluation noise; null when interrupted. */
export async function validate(session: Session, files: RunFiles, interrupt?: Interrupt): Promise<Averages | null> {
  const { device, model, network, generator, batches, replicas } = session
  const { batchSize, printFreq } = session.options
  const { epoch } = session.state
  const { steps } = batches.val
  await replicas?.shareStatistics()
  model.eval()
  model.exp.noise = session.evaluationNoise
  const times = { batch: new Stopwatch(), data: new Stopwatch() }
  const totals = noTotals()
  const progress = startProgress(`Test  ${epoch}`, steps, batchSize)
  let sample = 0
  const work = (batch: Samples) => {
    const { first, total } = batch.part ?? { first: 0, total: batch.labels.length }
    generator.moveTo({ phase: 'validation', step: epoch, sample: sample + first })
    sample += total
    const own = evaluateStep(device, network, batch)
    return replicas ? replicas.reduce(own) : own
  }
  let heard = false
  const stopped = () => (replicas ? heard : interrupt?.requested === true)
  const samples = batches.epoch(batches.val, 0, times.data, { fromStep: 0, stopped })
  const ready = rehearsed(device, network, samples, (batch) => evaluateStep(device, network, batch))
  let step = 0
  let before = performance.now()
  for await (const result of pipelined(ready, work, stopped)) {
    times.batch.add((performance.now() - before) / 1000)
    before = performance.now()
    addBatch(totals, result)
    heard ||= result.interrupted === true
    const average = averages(totals)
    const line = `Test: [${countOf(step, steps)}] ${progressLine(times, result, average)}`
    progress.update(step + 1, shortNote(average), step % printFreq === 0 ? line : undefined)
    step++
  }
  progress.end()
  if (interrupt && (replicas ? await replicas.any(interrupt.requested) : interrupt.requested)) return null
  const result = averages(totals)
  console.log(validationLine(result))
  files.write('val', epoch, step, result, times.batch)
  return result
}
