/**
 * The two loops of the experiment: a training pass and an evaluation pass over batches. Nobody waits for the GPU: the
 * numbers of a step are read while later steps run.
 */
import { backward, crossEntropy, type Device, noGrad, scope, Tensor, topkCorrect } from '../engine/index.ts'
import type { Module, Optimizer } from '../nn/index.ts'
import type { BatchResult } from './metrics.ts'

/** Steps that may be under way on the GPU before the oldest one's numbers are waited for. */
const STEPS_IN_FLIGHT = 2

/** A batch that is ready for the model. */
export interface Samples {
  /** Makes the model's input on the GPU; called within the step's scope. */
  input(device: Device): Tensor
  labels: Uint32Array
}

/** Accuracy is counted for the best answer and the best five. */
const TOP = [1, 5]

/** One optimisation step. The promise gives the step's numbers once the GPU has made them. */
export function trainStep(device: Device, model: Module, optimizer: Optimizer, batch: Samples): Promise<BatchResult> {
  return scope(() => {
    optimizer.zeroGrad()
    const labels = Tensor.from(device, batch.labels)
    const logits = model.call(batch.input(device))
    const loss = crossEntropy(logits, labels)
    const result = readResult(loss, logits, labels)
    backward(loss)
    optimizer.step()
    return result
  })
}

/** One batch through the model, nothing recorded. */
export function evaluateStep(device: Device, model: Module, batch: Samples): Promise<BatchResult> {
  return scope(() =>
    noGrad(() => {
      const labels = Tensor.from(device, batch.labels)
      const logits = model.call(batch.input(device))
      return readResult(crossEntropy(logits, labels), logits, labels)
    }),
  )
}

async function readResult(loss: Tensor, logits: Tensor, labels: Tensor): Promise<BatchResult> {
  const counts = topkCorrect(
    logits,
    labels,
    TOP.map((k) => Math.min(k, logits.shape[1])),
  )
  const [[lossValue], [correct1, correct5]] = await Promise.all([loss.read(), counts.readU32()])
  return { size: logits.shape[0], loss: lossValue, correct1, correct5 }
}

/**
 * Starts `work` on each item and gives the results in order, a few behind.
 * @param stopped once true, no further item is started; what is under way is still given
 */
export async function* pipelined<T, R>(
  items: AsyncIterable<T> | Iterable<T>,
  work: (item: T) => Promise<R>,
  stopped: () => boolean = () => false,
): AsyncGenerator<R> {
  const underWay: Promise<R>[] = []
  try {
    for await (const item of items) {
      if (stopped()) break
      underWay.push(work(item))
      if (underWay.length > STEPS_IN_FLIGHT) yield await underWay.shift()!
    }
    while (underWay.length) yield await underWay.shift()!
  } finally {
    // Whoever leaves early, or fails, must not leave a rejection that nobody hears.
    for (const result of underWay) result.catch(() => {})
  }
}
