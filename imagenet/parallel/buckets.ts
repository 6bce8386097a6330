/** Gradients summed over ranks while the backward pass still runs. */
import type { Tensor } from '../../engine/index.ts'
import type { Communicator } from './communicator.ts'

/**
 * Bytes of a bucket: as DistributedDataParallel has it (Li et al., "PyTorch Distributed", VLDB 2020, section 3.2.3): large
 * enough that a collective's start does not count, small enough that the first one leaves early.
 */
export const BUCKET_BYTES = 25 * 2 ** 20

/** Of parameters that lie side by side, the last ones first, as their gradients come. */
interface Bucket {
  readonly params: Tensor[]
  /** Of these the gradients are not complete yet. */
  readonly awaited: Set<Tensor>
}

const partsOf = (tensors: readonly Tensor[]) =>
  tensors.map(({ storage, size }) => ({ buffer: storage.buffer, bytes: 4 * size }))

/** Gradients of a bucket, and where their sums will be. */
interface Sent {
  grads: Tensor[]
  sums: Promise<Float32Array>
}

export class GradientBuckets {
  readonly #comm: Pick<Communicator, 'sum'>
  readonly #buckets: readonly Bucket[]
  /** Which bucket a parameter is in. */
  readonly #bucketOf = new Map<Tensor, Bucket>()
  #sent: Sent[] = []

  /** @param params in the order of the forward pass, or nearly so */
  constructor(comm: Pick<Communicator, 'sum'>, params: readonly Tensor[], bucketBytes = BUCKET_BYTES) {
    this.#comm = comm
    const buckets: Bucket[] = []
    let bytes = Infinity
    for (const param of params.toReversed()) {
      if (bytes + param.size * 4 > bucketBytes) {
        buckets.push({ params: [], awaited: new Set() })
        bytes = 0
      }
      const bucket = buckets.at(-1)!
      bucket.params.push(param)
      bucket.awaited.add(param)
      this.#bucketOf.set(param, bucket)
      bytes += param.size * 4
    }
    this.#buckets = buckets
  }

  /**
   * To be told by `backward` of each gradient that is complete. Full buckets leave in their own order, which is thereby
   * the same on all ranks.
   */
  complete(param: Tensor): void {
    this.#bucketOf.get(param)?.awaited.delete(param)
    for (let next = this.#next(); next?.awaited.size === 0; next = this.#next()) this.#send(next)
  }

  /**
   * To be called behind the backward pass: the gradients become `factor` times their sums over all ranks, for all that is
   * done with them after this.
   * @param factor when it fails, so does what waits for the gradients
   */
  finish(factor: Promise<number>): void {
    for (let next = this.#next(); next; next = this.#next()) this.#send(next)
    for (const { grads, sums } of this.#sent) {
      if (grads.length === 0) continue
      const summed = Promise.all([sums, factor]).then(([sums, factor]) =>
        factor === 1 ? sums : sums.map((value) => value * factor),
      )
      for (const grad of grads) grad.storage.version++
      grads[0].device.writeAll(partsOf(grads), summed)
    }
    this.#sent = []
    for (const { params, awaited } of this.#buckets) for (const param of params) awaited.add(param)
  }

  #next(): Bucket | undefined {
    return this.#buckets[this.#sent.length]
  }

  /** Reads a bucket back, which the GPU does in its turn, and has it summed. Parameters without a gradient are left out. */
  #send({ params }: Bucket): void {
    const grads = params.flatMap(({ grad }) => grad ?? [])
    const values = params[0].device.readAll(partsOf(grads)).then((bytes) => new Float32Array(bytes))
    this.#sent.push({ grads, sums: this.#comm.sum(values) })
  }
}
