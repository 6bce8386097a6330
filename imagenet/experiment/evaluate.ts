/** A head over the validation images, as often as asked, under any noise. */
import { noGrad, scope } from '../../engine/index.ts'
import type { Generator, Head } from '../../nn/index.ts'
import type { Samples } from '../data/samples.ts'
import { evaluateStep, pipelined } from '../run/loop.ts'
import { type Averages, addBatch, averages, noTotals } from '../run/metrics.ts'
import { Judge } from './judge.ts'
import type { EvaluationSpec } from './plan.ts'
import type { Evaluation } from './results.ts'
import type { Study } from './study.ts'

/** A head, and where its masks come from. */
export interface MaskedHead {
  exp: Head
  generator: Generator
}

/** Loss and accuracy of one pass under the head's own noise. `pass`: which draw of its masks. */
export async function validate(study: Study, head: MaskedHead, pass: number): Promise<Averages> {
  const totals = noTotals()
  const step = (batch: Samples) => evaluateStep(study.device, head.exp, batch)
  for await (const result of pipelined(batches(study, head, pass), step)) addBatch(totals, result)
  return averages(totals)
}

/**
 * Everything that is to be known of one way to evaluate a head.
 * @param firstPass the draw of masks to begin with: none that chose the best epoch
 * @returns null when it was stopped
 * @throws Error when a logit is not finite
 */
export async function evaluate(
  study: Study,
  head: MaskedHead,
  { noise, passes }: EvaluationSpec,
  { firstPass, stopped }: { firstPass: number; stopped: () => boolean },
): Promise<Evaluation | null> {
  const start = performance.now()
  const judge = new Judge(study.features.val.length, study.settings.classes)
  const step = async (batch: Samples) => {
    const logits = scope(() => noGrad(() => head.exp.call(batch.input(study.device, 0, batch.labels.length)).read()))
    return { logits: await logits, labels: batch.labels }
  }
  head.exp.noise = noise
  try {
    for (let pass = 0; pass < passes; pass++) {
      judge.beginPass()
      for await (const { logits, labels } of pipelined(batches(study, head, firstPass + pass), step, stopped))
        judge.add(logits, labels)
      if (stopped()) return null
    }
  } finally {
    head.exp.noise = null
  }
  const { calibration, agreement } = judge
  return { noise, passes: judge.passes, calibration, agreement, seconds: (performance.now() - start) / 1000 }
}

/** The validation images in batches, the generator moved to each. */
async function* batches({ features }: Study, { generator }: MaskedHead, pass: number): AsyncGenerator<Samples> {
  let sample = 0
  for await (const batch of features.val.batches()) {
    generator.moveTo({ phase: 'validation', step: pass, sample })
    sample += batch.labels.length
    yield batch
  }
}
