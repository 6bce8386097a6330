/**
 * Times every dispatch on the GPU's own clock (timestamp queries), each in a compute pass of its own. That costs a
 * little of what it measures: compare shares, not sums with a run that is not profiled.
 */
import type { DispatchTimer } from './commands.ts'
import type { Device } from './device.ts'
import { GpuError } from './errors.ts'

/** One dispatch. Times in microseconds from the first one. */
export interface Span {
  /** The op, `conv2d` or `conv2d backward`; a kernel outside any op stands for itself. */
  op: string
  kernel: string
  /** The shapes that it was given. */
  shapes: string
  start: number
  duration: number
}

/** Dispatches between two read-backs; a query set holds twice as many timestamps, 4096 at most. */
const CAPACITY = 2048

type Pending = Omit<Span, 'start' | 'duration'>

export class Profiler implements DispatchTimer {
  readonly #device: Device
  readonly #queries: GPUQuerySet
  readonly #resolved: GPUBuffer
  #pending: Pending[] = []
  /** Dispatches whose op is not known yet. */
  #nameless: Pending[] = []
  #reads: Promise<void>[] = []
  readonly #spans: Span[] = []

  /** Starts profiling. @throws GpuError when the adapter has no timestamp queries. */
  constructor(device: Device) {
    if (!device.features.has('timestamp-query'))
      throw new GpuError('this adapter has no timestamp queries: it cannot be profiled')
    this.#device = device
    this.#queries = device.gpu.createQuerySet({ type: 'timestamp', count: 2 * CAPACITY })
    this.#resolved = device.gpu.createBuffer({
      size: 16 * CAPACITY,
      usage: GPUBufferUsage.QUERY_RESOLVE | GPUBufferUsage.COPY_SRC,
    })
    device.flush()
    device.timer = this
  }

  get full(): boolean {
    return this.#pending.length === CAPACITY
  }

  begin(kernel: string, shapes: string): GPUComputePassTimestampWrites {
    const span = { op: kernel, kernel, shapes }
    const at = 2 * this.#pending.push(span) - 2
    this.#nameless.push(span)
    return { querySet: this.#queries, beginningOfPassWriteIndex: at, endOfPassWriteIndex: at + 1 }
  }

  nameOp(op: string): void {
    for (const span of this.#nameless) span.op = op
    this.#nameless = []
  }

  resolve(encoder: GPUCommandEncoder): void {
    const spans = this.#pending
    if (spans.length === 0) return
    this.#pending = []
    const bytes = 16 * spans.length
    const staging = this.#device.gpu.createBuffer({
      size: bytes,
      usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST,
    })
    encoder.resolveQuerySet(this.#queries, 0, 2 * spans.length, this.#resolved, 0)
    encoder.copyBufferToBuffer(this.#resolved, 0, staging, 0, bytes)
    const sent = Promise.resolve().then(() => this.#device.sent())
    this.#reads.push(sent.then(() => this.#read(staging, spans)))
  }

  /** Ends profiling; all dispatches since it began, in order. */
  async stop(): Promise<Span[]> {
    this.#device.flush()
    this.#device.timer = null
    await Promise.all(this.#reads)
    this.#queries.destroy()
    this.#resolved.destroy()
    const first = Math.min(...this.#spans.map(({ start }) => start))
    return this.#spans.sort((a, b) => a.start - b.start).map((span) => ({ ...span, start: span.start - first }))
  }

  async #read(staging: GPUBuffer, spans: Pending[]): Promise<void> {
    await staging.mapAsync(GPUMapMode.READ)
    const times = new BigUint64Array(staging.getMappedRange())
    spans.forEach((span, i) => {
      const [begin, end] = [Number(times[2 * i]) / 1000, Number(times[2 * i + 1]) / 1000]
      this.#spans.push({ ...span, start: begin, duration: end - begin })
    })
    staging.destroy()
  }
}
