/** Numbers of a run: running averages, the original's progress lines, and `metrics.jsonl`. */
import { appendFileSync, closeSync, existsSync, fsyncSync, openSync, readFileSync } from 'node:fs'
import { FileError } from '../errors.ts'
import { writeFileAtomic } from '../files.ts'

/** Sums over the samples of an epoch; averages are weighted by batch size, as the original's meters are. */
export interface Totals {
  samples: number
  loss: number
  correct1: number
  correct5: number
}

export const noTotals = (): Totals => ({ samples: 0, loss: 0, correct1: 0, correct5: 0 })

/** What one batch gave. `loss` is its mean, the others count samples. */
export interface BatchResult {
  size: number
  loss: number
  correct1: number
  correct5: number
  /** Whether any of the processes that share it had been asked to stop before it. */
  interrupted?: boolean
  /** Of the step's gradient, before it was limited; where it was asked for. */
  gradNorm?: number
  /** The first output or gradient that is not finite; where it was looked for and found. */
  anomaly?: string
}

export function addBatch(totals: Totals, { size, loss, correct1, correct5 }: BatchResult): void {
  totals.samples += size
  totals.loss += loss * size
  totals.correct1 += correct1
  totals.correct5 += correct5
}

export interface Averages {
  loss: number
  /** Percent. */
  acc1: number
  acc5: number
}

export const averages = ({ samples, loss, correct1, correct5 }: Totals): Averages => ({
  loss: loss / samples,
  acc1: (100 * correct1) / samples,
  acc5: (100 * correct5) / samples,
})

/** The last value and the mean of a time, in seconds. */
export class Stopwatch {
  last = 0
  total = 0
  count = 0

  add(seconds: number): void {
    this.last = seconds
    this.total += seconds
    this.count++
  }

  get average(): number {
    return this.count ? this.total / this.count : 0
  }
}

/** One line of `metrics.jsonl`. */
export interface MetricsLine extends Averages {
  phase: 'train' | 'val'
  epoch: number
  /** Batches of the epoch done when the line was written. */
  step: number
  lr: number
  images_per_s: number
  /** Of the last step, in training: the gradient's 2-norm, before it was limited. */
  grad_norm?: number
}

/** `  10/20019`, the first number as wide as the second. */
export function countOf(step: number, steps: number): string {
  return `${String(step).padStart(String(steps).length)}/${steps}`
}

/** The original's progress line, without its head (`Epoch: [0][  10/20019]`). Times in seconds, accuracies in percent. */
export function progressLine(
  times: { batch: Stopwatch; data: Stopwatch },
  batch: BatchResult,
  total: Averages,
): string {
  const last = averages({ samples: batch.size, ...batch, loss: batch.loss * batch.size })
  const columns: [name: string, last: number, average: number, format: (value: number) => string][] = [
    ['BTime', times.batch.last, times.batch.average, (value) => value.toFixed(3).padStart(6)],
    ['DTime', times.data.last, times.data.average, (value) => value.toFixed(3).padStart(6)],
    ['Loss', last.loss, total.loss, (value) => value.toExponential(4)],
    ['Acc@1', last.acc1, total.acc1, (value) => value.toFixed(2).padStart(6)],
    ['Acc@5', last.acc5, total.acc5, (value) => value.toFixed(2).padStart(6)],
  ]
  return columns.map(([name, value, mean, format]) => `${name}= ${format(value)} (Avg= ${format(mean)})`).join(' ')
}

/** The short words at the end of a progress bar. */
export const shortNote = ({ loss, acc1 }: Averages): string => `loss ${loss.toFixed(3)} acc@1 ${acc1.toFixed(2)}`

/** ` * Acc@1 Avg= 67.110 Acc@5 Avg= 87.186`, which ends a validation. */
export const validationLine = ({ acc1, acc5 }: Averages): string =>
  ` * Acc@1 Avg= ${acc1.toFixed(3)} Acc@5 Avg= ${acc5.toFixed(3)}`

/** `metrics.jsonl`: one JSON object a line. */
export class MetricsLog {
  readonly #file: string

  /** @param resumedAt keeps of an existing file only what was written before that point; without it, starts anew. */
  constructor(file: string, resumedAt?: { epoch: number; step: number }) {
    this.#file = file
    const before = resumedAt && existsSync(file) ? readFileSync(file, 'utf8').split('\n').filter(Boolean) : []
    const kept = before.filter((line) => isBefore(line, resumedAt!))
    writeFileAtomic(file, kept.map((line) => `${line}\n`).join(''))
  }

  /** @throws FileError */
  write(line: MetricsLine): void {
    this.#do(() => appendFileSync(this.#file, `${JSON.stringify(line)}\n`))
  }

  /** Ends when all lines are on the disk: no checkpoint may know of more than they. */
  sync(): void {
    this.#do(() => {
      const fd = openSync(this.#file, 'r+')
      try {
        fsyncSync(fd)
      } finally {
        closeSync(fd)
      }
    })
  }

  #do(act: () => void): void {
    try {
      act()
    } catch (error) {
      throw new FileError(this.#file, error)
    }
  }
}

function isBefore(text: string, { epoch, step }: { epoch: number; step: number }): boolean {
  let line: Partial<MetricsLine> | null
  try {
    line = JSON.parse(text)
  } catch {
    return false // the line that an interruption cut short
  }
  if (typeof line?.epoch !== 'number' || typeof line.step !== 'number') return false // none of ours
  return line.epoch < epoch || (line.epoch === epoch && line.phase === 'train' && line.step <= step)
}
