/** Where the time of training steps goes, as a table and as a trace that Perfetto opens (https://ui.perfetto.dev). */
import { type Device, memoryOf, Profiler, type Span } from '../../engine/index.ts'
import { writeFileAtomic } from '../files.ts'

/** Steps before the first that is timed: pipelines are compiled and the pool is filled in them. */
const WARM_UP_STEPS = 2

/** Dawn rounds timestamps to 0.1 ms, against spying pages, unless told not to. */
export const PROFILING_TOGGLES_OFF = ['timestamp_quantization']

/** Times some steps of a loop that calls `beforeStep` before each. */
export class StepProfile {
  readonly #device: Device
  readonly #steps: number
  readonly #file: string
  #profiler: Profiler | null = null
  #step = 0
  #report: Promise<void> | null = null

  /** @param file where the trace goes */
  constructor(device: Device, steps: number, file: string) {
    this.#device = device
    this.#steps = steps
    this.#file = file
  }

  beforeStep(): void {
    if (this.#step === WARM_UP_STEPS) this.#profiler = new Profiler(this.#device)
    if (this.#step === WARM_UP_STEPS + this.#steps) this.#stop()
    this.#step++
  }

  /** Prints what there is, if it was not printed yet. */
  async end(): Promise<void> {
    this.#stop()
    await this.#report
  }

  #stop(): void {
    if (!this.#profiler) return
    const steps = this.#step - WARM_UP_STEPS
    this.#report = this.#profiler.stop().then((spans) => {
      console.log(profileTable(spans, steps, this.#device))
      writeFileAtomic(this.#file, perfettoTrace(spans))
      console.log(`trace: ${this.#file} (open it at https://ui.perfetto.dev)`)
    })
    this.#profiler = null
  }
}

/** Time by op and by shader, the longest first, and the memory. */
export function profileTable(spans: readonly Span[], steps: number, device: Device): string {
  const memory = memoryOf(device)
  const total = spans.reduce((sum, { duration }) => sum + duration, 0)
  const megabytes = (bytes: number) => (bytes / 2 ** 20).toFixed(0)
  const section = (title: string, key: (span: Span) => string) => {
    const groups = new Map<string, { time: number; count: number }>()
    for (const span of spans) {
      const group = groups.get(key(span)) ?? { time: 0, count: 0 }
      groups.set(key(span), { time: group.time + span.duration, count: group.count + 1 })
    }
    const rows = [...groups].sort(([, a], [, b]) => b.time - a.time)
    const lines = rows.map(([name, { time, count }]) => {
      const columns = [time / 1000 / steps, (100 * time) / total, count / steps]
      return `${name.padEnd(44)} ${columns.map((value) => value.toFixed(1).padStart(10)).join('')}`
    })
    return [`${title.padEnd(44)}    ms/step   % of GPU  dispatches`, ...lines].join('\n')
  }
  return [
    `\n${steps} steps, ${(total / 1000 / steps).toFixed(1)} ms of GPU time a step, ${spans.length / steps} dispatches a step`,
    section('op', ({ op }) => op),
    section('shader', ({ kernel }) => kernel),
    `memory: ${megabytes(memory.liveBytes)} MiB in use, ${megabytes(memory.pooledBytes)} MiB pooled, ${megabytes(memory.peakBytes)} MiB at the peak\n`,
  ].join('\n\n')
}

/** Chrome's trace event format, which Perfetto reads: a complete event ("X") a dispatch, times in microseconds. */
export function perfettoTrace(spans: readonly Span[]): string {
  const traceEvents = spans.map(({ op, kernel, shapes, start, duration }) => ({
    ...{ name: kernel, cat: op, ph: 'X', ts: start, dur: duration, pid: 0, tid: 0 },
    args: { op, shapes },
  }))
  return JSON.stringify({ traceEvents })
}
