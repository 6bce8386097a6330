/**
 * The two loops of the experiment: a training pass and an evaluation pass over batches. Nobody waits for the GPU: the
 * numbers of a step are read while later steps run.
 */
import {
  backward,
  clipGradNorm,
  crossEntropy,
  type Device,
  type LeafReceiver,
  noGrad,
  scope,
  Tensor,
  topkCorrect,
  totalNorm,
} from '../../engine/index.ts'
import { AnomalyWatch, type Module, type Optimizer } from '../../nn/index.ts'
import type { BatchPart, Samples } from '../data/samples.ts'
import { addBatch, type BatchResult, noTotals } from './metrics.ts'

/** Steps that may be under way on the GPU before the oldest one's numbers are waited for. */
export const STEPS_IN_FLIGHT = 2

/** The other processes, where several share each batch. */
export interface StepPeers {
  /** Called before a step with its part's `counts`. */
  begin(counts: boolean): void
  /** Called with each parameter whose gradient is complete. */
  complete(param: Tensor): void
  /**
   * Called before the optimizer's step: makes the gradients, which are this process's share of the batch's, those of the
   * whole batch.
   * @param own this process's numbers
   * @returns those of the whole batch
   */
  finish(own: Promise<BatchResult>, images: number): Promise<BatchResult>
}

/** Accuracy is counted for the best answer and the best five. */
const TOP = [1, 5]

/** Of a batch that is empty because none of its files could be decoded: no step is taken. */
const nothing: BatchResult = { size: 0, loss: 0, correct1: 0, correct5: 0 }

export interface TrainStepOptions {
  /** Samples that pass through the model at a time; the whole batch unless given. */
  microBatch?: number
  /** Called before each pass with the number of its first sample in the whole batch. */
  beforePass?: (sample: number) => void
  peers?: StepPeers
  /** Whether the result has the gradients' norm. */
  gradNorm?: boolean
  /** Limits the gradients' norm to this. */
  clipGradNorm?: number
  /** Looks for the first output or gradient that is not finite. */
  detectAnomaly?: boolean
}

/**
 * One optimisation step. The promise gives the step's numbers once the GPU has made them. Gradients of micro-batches
 * add up to those of the batch, but BatchNorm in train mode sees each by itself. A parameter is moved, and its gradient
 * forgotten, as soon as that is complete, unless the options or peers want all gradients together.
 */
export async function trainStep(
  device: Device,
  model: Module,
  optimizer: Optimizer,
  batch: Samples,
  options: TrainStepOptions = {},
): Promise<BatchResult> {
  const size = batch.labels.length
  const { microBatch = size, beforePass, peers } = options
  const { first, total, counts } = batch.part ?? wholeOf(batch)
  if (size === 0) return nothing
  optimizer.zeroGrad()
  peers?.begin(counts)
  const watch = options.detectAnomaly ? new AnomalyWatch(device, model) : null
  const receiver = receiverOf(optimizer, options)
  const results: Promise<BatchResult>[] = []
  for (let start = 0; start < size; start += microBatch) {
    const end = Math.min(start + microBatch, size)
    beforePass?.(first + start)
    const result = scope(() => {
      const labels = Tensor.from(device, batch.labels.subarray(start, end))
      const x = batch.input(device, start, end)
      watch?.look('the input', x)
      const logits = watch ? watch.forward(() => model.call(x)) : model.call(x)
      const loss = crossEntropy(logits, labels)
      const share = counts ? (end - start) / total : 0
      const seed = share === 1 ? undefined : Tensor.from(device, Float32Array.of(share), loss.shape)
      backward(loss, seed, end === size ? receiver : undefined)
      return readResult(loss, logits, labels)
    })
    results.push(result)
  }
  const own = counts ? joined(results) : Promise.all(results).then(() => nothing)
  const result = peers ? peers.finish(own, total) : own
  watch?.parameters()
  const found = finishGradients(optimizer, options)
  optimizer.step()
  const anomaly = watch?.end()
  return found || anomaly ? withFindings(result, found, anomaly) : result
}

/** Who gets a parameter as soon as its gradient is complete. */
function receiverOf(
  optimizer: Optimizer,
  { peers, gradNorm, clipGradNorm, detectAnomaly }: TrainStepOptions,
): LeafReceiver | undefined {
  const together = gradNorm || clipGradNorm !== undefined || detectAnomaly
  return peers ?? (together ? undefined : optimizer)
}

/** Limits the gradients, where that is asked for. Returns their norm as it was; undefined where nobody wants it. */
function finishGradients(
  { params }: Optimizer,
  { gradNorm, clipGradNorm: most }: TrainStepOptions,
): Promise<number> | undefined {
  const gradients = params.flatMap(({ grad }) => (grad ? [grad] : []))
  if (gradients.length === 0 || !(gradNorm || most !== undefined)) return undefined
  return scope(() => (most === undefined ? totalNorm(gradients) : clipGradNorm(gradients, most)).item())
}

async function withFindings(
  result: Promise<BatchResult>,
  norm: Promise<number> | undefined,
  watched: Promise<string | null> | undefined,
): Promise<BatchResult> {
  const [numbers, gradNorm, anomaly] = await Promise.all([result, norm, watched])
  return { ...numbers, ...(gradNorm !== undefined && { gradNorm }), ...(anomaly && { anomaly }) }
}

const wholeOf = ({ labels }: Samples): BatchPart => ({ first: 0, total: labels.length, counts: true })

/** The numbers of a batch, from those of its parts. */
async function joined(results: readonly Promise<BatchResult>[]): Promise<BatchResult> {
  const totals = noTotals()
  for (const result of await Promise.all(results)) addBatch(totals, result)
  const { samples: size, loss, correct1, correct5 } = totals
  return { size, loss: loss / size, correct1, correct5 }
}

/** One batch through the model, nothing recorded. */
export async function evaluateStep(device: Device, model: Module, batch: Samples): Promise<BatchResult> {
  if (batch.labels.length === 0 || batch.part?.counts === false) return nothing
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

/** A break between items, with nothing under way. */
export interface Pause {
  /** Whether one is wanted before the next item. */
  due(): boolean
  run(): Promise<unknown>
}

/**
 * Starts `work` on each item and gives the results in order, a few behind. Should the items' source fail, what is under
 * way is given first.
 * @param stopped once true, no further item is started; what is under way is still given
 */
export async function* pipelined<T, R>(
  items: AsyncIterable<T> | Iterable<T>,
  work: (item: T) => Promise<R>,
  stopped: () => boolean = () => false,
  pause?: Pause,
): AsyncGenerator<R> {
  const underWay: Promise<R>[] = []
  const failures: unknown[] = []
  const given = async function* () {
    try {
      yield* items
    } catch (error) {
      failures.push(error)
    }
  }
  for await (const item of given()) {
    if (stopped()) break
    if (pause?.due()) {
      while (underWay.length) yield await underWay.shift()!
      await pause.run()
    }
    const result = work(item)
    // One that fails before its turn, or after somebody left early, is no rejection that nobody hears.
    result.catch(() => {})
    underWay.push(result)
    if (underWay.length > STEPS_IN_FLIGHT) yield await underWay.shift()!
  }
  while (underWay.length) yield await underWay.shift()!
  if (failures.length > 0) throw failures[0]
}
