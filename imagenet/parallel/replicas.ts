/** A network of which every rank holds a copy, and what keeps the copies alike. */
import type { BatchSync, Tensor } from '../../engine/index.ts'
import {
  BatchNorm2d,
  Buffer as Kept,
  type Module,
  type Optimizer,
  type Parameter,
  readSafetensors,
  type StepLR,
  writeSafetensors,
} from '../../nn/index.ts'
import type { Divide } from '../data/loader.ts'
import type { Samples } from '../data/samples.ts'
import { Interrupt } from '../run/interrupt.ts'
import type { StepPeers } from '../run/loop.ts'
import type { BatchResult } from '../run/metrics.ts'
import { fromFirst } from './agree.ts'
import { GradientBuckets } from './buckets.ts'
import type { Communicator } from './communicator.ts'
import { divisionOf, partOf } from './divide.ts'

export class Replicas implements StepPeers {
  readonly comm: Communicator
  readonly divide: Divide
  readonly #model: Module
  readonly #buckets: GradientBuckets
  /** Of whose request to stop the other ranks are told with each batch's numbers. */
  #interrupt: Interrupt | null = null
  /** The ranks' part in batch normalisation; it is silent in a rehearsal. */
  readonly #sync = { counts: true, silent: false }

  /**
   * @param params that are optimised, on a device
   * @param syncBn whether BatchNorm in train mode normalises with the statistics of all ranks
   */
  constructor(comm: Communicator, model: Module, params: readonly Parameter[], syncBn: boolean) {
    this.comm = comm
    this.divide = divisionOf(comm)
    this.#model = model
    this.#buckets = new GradientBuckets(
      comm,
      params.map(({ tensor }) => tensor),
    )
    if (syncBn) for (const layer of model.modules()) if (layer instanceof BatchNorm2d) layer.sync = this.#batchSync()
  }

  #batchSync(): BatchSync {
    const own = this.#sync
    return {
      get counts() {
        return own.counts
      },
      sum: (values) => (own.silent ? values : this.comm.sum(values)),
    }
  }

  /** To be called before each pass. @param counts whether this rank has images of the batch */
  begin(counts: boolean): void {
    this.#sync.counts = counts
  }

  complete(param: Tensor): void {
    this.#buckets.complete(param)
  }

  /**
   * @returns over all ranks
   * @throws Error when the loss is no number any more: the step is then not taken
   */
  finish(own: Promise<BatchResult>, images: number): Promise<BatchResult> {
    const result = this.reduce(own).then(async (shared) => {
      if (!Number.isFinite(shared.loss)) await this.#diverged((await own).loss)
      return shared
    })
    // Gradients count each image as one of `images`; some may have turned out not to be there.
    const factor = result.then(({ size }) => (size === images ? 1 : images / size))
    this.#buckets.finish(factor)
    return result
  }

  /** The rank whose own loss it is says so; the others wait for its word. */
  async #diverged(own: number): Promise<void> {
    if (!Number.isFinite(own)) throw new Error(`the run has diverged: the loss is ${own}; lower --lr`)
    await this.comm.sum(new Float64Array(1))
  }

  /** A batch's numbers over all ranks. */
  async reduce(own: Promise<BatchResult>): Promise<BatchResult> {
    const requested = this.#interrupt?.requested ? 1 : 0
    const numbers = own.then(({ size, loss, correct1, correct5 }) =>
      Float64Array.of(size, size === 0 ? 0 : loss * size, correct1, correct5, requested),
    )
    const [size, loss, correct1, correct5, interrupts] = await this.comm.sum(numbers)
    return { size, loss: size === 0 ? 0 : loss / size, correct1, correct5, interrupted: interrupts > 0 }
  }

  /** Whether any rank says yes. */
  async any(own: boolean): Promise<boolean> {
    const [yes] = await this.comm.sum(Float64Array.of(own ? 1 : 0))
    return yes > 0
  }

  /**
   * Gives all ranks rank 0's running statistics, which are the run's: as DistributedDataParallel does before every pass,
   * though only evaluation reads them.
   */
  shareStatistics(): Promise<void> {
    const buffers = [...this.#model.namedBuffers()].flatMap(([, buffer]) => (buffer instanceof Kept ? [buffer] : []))
    return this.#share(buffers.map(({ tensor }) => tensor))
  }

  /** Gives all ranks what rank 0 has loaded. Returns rank 0's `state`. */
  async shareRun<State>(optimizer: Optimizer, schedule: StepLR, state: State): Promise<State> {
    const isFirst = this.comm.rank === 0
    await this.#share(this.#model.parameters().map(({ tensor }) => tensor))
    await this.shareStatistics()
    const { tensors, ...ofOptimizer } = await optimizer.stateDict()
    const progress = { state, optimizer: ofOptimizer, schedule: schedule.stateDict() }
    const file = isFirst ? Buffer.concat([...writeSafetensors(tensors, { progress: JSON.stringify(progress) })]) : null
    const shared = readSafetensors(await fromFirst(this.comm, file))
    const first: typeof progress = JSON.parse(shared.metadata.progress)
    if (isFirst) return state
    optimizer.loadStateDict({ ...first.optimizer, tensors: shared.tensors })
    schedule.loadStateDict(first.schedule)
    return first.state
  }

  /** Every rank's items, those that several have once. */
  async together<T>(items: readonly T[]): Promise<T[]> {
    const all = (await this.comm.gather(JSON.stringify(items))).flatMap((text) => JSON.parse(text) as T[])
    return [...new Map(all.map((item) => [JSON.stringify(item), item])).values()]
  }

  /** This rank's parts of batches that every rank has. What must be made first, in files, is made by rank 0 alone. */
  async *partsOf(batches: AsyncGenerator<Samples>): AsyncGenerator<Samples> {
    if (this.comm.rank !== 0) await this.any(false)
    let next = await batches.next()
    if (this.comm.rank === 0) await this.any(false)
    for (; !next.done; next = await batches.next()) yield partOf(next.value, this.divide)
  }

  /**
   * Listens for requests to stop: of Ctrl-C, of schedulers, which send SIGTERM, and SIGUSR2, the one signal of these that
   * mpirun hands on and does not act upon itself.
   */
  listen(): Interrupt {
    this.#interrupt = new Interrupt(['SIGINT', 'SIGTERM', 'SIGUSR2'])
    return this.#interrupt
  }

  /** Does something with the model that no other rank takes part in. */
  silently<T>(act: () => T): T {
    this.#sync.silent = true
    try {
      return act()
    } finally {
      this.#sync.silent = false
    }
  }

  async #share(tensors: readonly Tensor[]): Promise<void> {
    const share = async (tensor: Tensor) => {
      const bytes = await this.comm.broadcast(tensor.read().then(({ buffer }) => new Uint8Array(buffer)))
      if (this.comm.rank !== 0) tensor.write(new Float32Array(bytes.buffer))
    }
    await Promise.all(tensors.map(share))
  }
}
