/**
 * The two loops of the experiment: a training pass and an evaluation pass over batches. Nobody waits for the GPU: the
 * numbers of a step are read while later steps run.
 */
import { backward, crossEntropy, type Device, noGrad, scope, Tensor, topkCorrect } from '../engine/index.ts'
import type { Module, Optimizer } from '../nn/index.ts'
import { addBatch, type BatchResult, noTotals } from './metrics.ts'

/** Steps that may be under way on the GPU before the oldest one's numbers are waited for. */
const STEPS_IN_FLIGHT = 2

/** A batch that is ready for the model. */
export interface Samples {
  labels: Uint32Array
  /** Makes the model's input from the samples from `start` to before `end`; called within the step's scope. */
  input(device: Device, start: number, end: number): Tensor
}

/** Accuracy is counted for the best answer and the best five. */
const TOP = [1, 5]

/** Of a batch that is empty because none of its files could be decoded: no step is taken. */
const nothing: BatchResult = { size: 0, loss: 0, correct1: 0, correct5: 0 }

export interface TrainStepOptions {
  /** Samples that pass through the model at a time; the whole batch unless given. */
  microBatch?: number
  /** Called before each pass with the number of its first sample in the batch. */
  beforePass?: (sample: number) => void
}

/**
 * One optimisation step. The promise gives the step's numbers once the GPU has made them. Gradients of micro-batches
 * add up to those of the batch, but BatchNorm in train mode sees each by itself.
 */
export async function trainStep(
  device: Device,
  model: Module,
  optimizer: Optimizer,
  batch: Samples,
  { microBatch = batch.labels.length, beforePass }: TrainStepOptions = {},
): Promise<BatchResult> {
  const size = batch.labels.length
  if (size === 0) return nothing
  optimizer.zeroGrad()
  const results: Promise<BatchResult>[] = []
  for (let start = 0; start < size; start += microBatch) {
    const end = Math.min(start + microBatch, size)
    beforePass?.(start)
    const result = scope(() => {
      const labels = Tensor.from(device, batch.labels.subarray(start, end))
      const logits = model.call(batch.input(device, start, end))
      const loss = crossEntropy(logits, labels)
      const share = (end - start) / size
      backward(loss, share === 1 ? undefined : Tensor.from(device, Float32Array.of(share), loss.shape))
      return readResult(loss, logits, labels)
    })
    results.push(result)
  }
  optimizer.step()
  const totals = noTotals()
  for (const result of await Promise.all(results)) addBatch(totals, result)
  return { size, loss: totals.loss / size, correct1: totals.correct1, correct5: totals.correct5 }
}

/** One batch through the model, nothing recorded. */
export async function evaluateStep(device: Device, model: Module, batch: Samples): Promise<BatchResult> {
  if (batch.labels.length === 0) return nothing
  return scope(() =>
    noGrad(() => {
      const labels = Tensor.from(device, batch.labels)
      const logits = model.call(batch.input(device, 0, batch.labels.length))
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
