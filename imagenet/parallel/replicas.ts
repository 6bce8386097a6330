/** A network of which every rank holds a copy, and what keeps the copies alike. */
import type { BatchSync, Tensor } from '../../engine/index.ts'
import { BatchNorm2d, Buffer, type Module } from '../../nn/index.ts'
import type { Interrupt } from '../interrupt.ts'
import type { Divide } from '../loader.ts'
import type { StepPeers } from '../loop.ts'
import type { BatchResult } from '../metrics.ts'
import { GradientBuckets } from './buckets.ts'
import type { Communicator } from './communicator.ts'
import { divisionOf } from './divide.ts'

export class Replicas implements StepPeers {
  readonly comm: Communicator
  readonly divide: Divide
  /** Whose request to stop the other ranks are told of with each batch's numbers. */
  interrupt: Interrupt | null = null
  readonly #model: Module
  readonly #buckets: GradientBuckets
  /** The ranks' part in batch normalisation; it is silent in a rehearsal. */
  readonly #sync = { counts: true, silent: false }

  /**
   * @param params that are optimised, on a device
   * @param syncBn whether BatchNorm in train mode normalises with the statistics of all ranks
   */
  constructor(comm: Communicator, model: Module, params: readonly Tensor[], syncBn: boolean) {
    this.comm = comm
    this.divide = divisionOf(comm)
    this.#model = model
    this.#buckets = new GradientBuckets(comm, params)
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
    const requested = this.interrupt?.requested ? 1 : 0
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
    const buffers = [...this.#model.namedBuffers()].flatMap(([, buffer]) => (buffer instanceof Buffer ? [buffer] : []))
    return this.#share(buffers.map(({ tensor }) => tensor))
  }

  /** Gives all ranks rank 0's parameters and statistics. */
  shareModel(): Promise<void> {
    const params = this.#model.parameters().map(({ tensor }) => tensor)
    return this.#share(params).then(() => this.shareStatistics())
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
