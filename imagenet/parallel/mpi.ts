import { setTimeout as sleep } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import { UsageError } from '../errors.ts'
import { builtFile } from '../locate.ts'
import { type Communicator, RankFailure } from './communicator.ts'
import type { Launched } from './launch.ts'
import type { Summed } from './library.ts'
import type { Collective, Reply, Request, Start } from './protocol.ts'

/** Seconds for which rank 0 may save after a failure before the rank that failed ends by itself. */
const SAVING_TIME = 120

/** What was sent so far. */
export interface Traffic {
  bytes: number
  /** Of the collectives, each from its turn on; while they run, other work goes on. */
  seconds: number
}

/** The ranks that an MPI launcher started. */
export class MpiCommunicator implements Communicator {
  readonly rank: number
  readonly size: number
  /** The library's. */
  readonly version: string
  readonly traffic: Traffic = { bytes: 0, seconds: 0 }
  #hosts: readonly string[] = []
  readonly #worker: Worker
  /** Those who wait for the thread, in the order in which it answers. */
  readonly #pending: ((result: Collective) => void)[] = []
  /** What ends the waiting of those and of all who have yet to hand something over. */
  readonly #waiting = new Set<(error: Error) => void>()
  /** The end of the calls so far, up to which they have been handed to the thread. */
  #turn: Promise<void> = Promise.resolve()
  #failure: Error | null = null

  /**
   * Joins the other ranks. Blocks nothing; ends when all have come.
   * @param patience seconds after which a rank that is not heard of counts as lost
   * @throws UsageError when there is no MPI library to do it with, or another one than the launcher's
   */
  static async join(launched: Launched, patience: number): Promise<MpiCommunicator> {
    const worker = new Worker(builtFile('mpi.worker.js'), {
      workerData: { family: launched.family, patience } satisfies Start,
    })
    const reply = await new Promise<Reply>((resolve, reject) => worker.once('message', resolve).once('error', reject))
    if (reply.kind !== 'started') {
      await worker.terminate()
      throw new UsageError(reply.kind === 'refused' ? reply.reason : `the MPI thread began with '${reply.kind}'`)
    }
    if (launched.size !== null && launched.size !== reply.size)
      throw new UsageError(
        `${launched.family} started ${launched.size} processes, of which ${reply.version} sees ${reply.size}: set KAKURITSU_MPI to the library that belongs to the launcher`,
      )
    const comm = new MpiCommunicator(worker, reply)
    comm.#hosts = Array(reply.size).fill(launched.host)
    comm.#hosts = await comm.gather(launched.host)
    return comm
  }

  private constructor(worker: Worker, { version, rank, size }: Reply & { kind: 'started' }) {
    this.version = version
    this.rank = rank
    this.size = size
    this.#worker = worker
    worker.on('message', (reply: Reply) => this.#take(reply))
    worker.on('error', (error) => this.#stop(new Error(`the MPI thread died: ${error.message}`)))
  }

  get hosts(): readonly string[] {
    return this.#hosts
  }

  async sum<T extends Summed>(values: T | Promise<T>): Promise<T> {
    const made = async () => ({ kind: 'sum' as const, values: ownBuffer(await values) })
    return (await this.#do(made())).values as T
  }

  async broadcast(bytes: Uint8Array<ArrayBuffer> | Promise<Uint8Array<ArrayBuffer>>): Promise<Uint8Array<ArrayBuffer>> {
    const made = async () => ({ kind: 'broadcast' as const, bytes: ownBuffer(await bytes) })
    return (await this.#do(made())).bytes
  }

  async gather(text: string): Promise<string[]> {
    const mine = new TextEncoder().encode(text)
    const lengths = new Float64Array(this.size)
    lengths[this.rank] = mine.length
    const known = await this.sum(lengths)
    const slot = Math.max(1, ...known)
    const own = new Uint8Array(slot * this.size)
    own.set(mine, this.rank * slot)
    const { all } = await this.#do(Promise.resolve({ kind: 'gather' as const, all: own, slot }))
    return Array.from(known, (length, rank) =>
      new TextDecoder().decode(all.subarray(rank * slot, rank * slot + length)),
    )
  }

  async fail(reason: string): Promise<never> {
    this.#post({ kind: 'report', reason })
    if (this.rank !== 0) await sleep(SAVING_TIME * 1000)
    return this.abort(1)
  }

  async abort(status: number): Promise<never> {
    this.#post({ kind: 'abort', status })
    await sleep(5000)
    // MPI could not do it, for want of a way to the other hosts, say.
    process.kill(process.pid, 'SIGKILL')
    return sleep(5000) as never
  }

  async close(): Promise<void> {
    await this.#turn
    const closed = new Promise((resolve) => this.#worker.on('message', ({ kind }) => kind === 'closed' && resolve(0)))
    this.#post({ kind: 'close' })
    await closed
    await this.#worker.terminate()
  }

  /**
   * Hands a collective to the thread, after those before it.
   * @param made may still be on its way
   */
  #do<C extends Collective>(made: Promise<C>): Promise<C> {
    return new Promise<C>((resolve, reject) => {
      this.#waiting.add(reject)
      const hand = async () => {
        const collective = await made
        if (this.#failure) return
        this.#pending.push((result) => {
          this.#waiting.delete(reject)
          resolve(result as C)
        })
        this.#post(collective, [bytesOf(collective).buffer])
      }
      // Whoever cannot hand over what the others wait for cannot go on: nothing after it would fit theirs.
      this.#turn = this.#turn.then(hand).catch((error) => this.#stop(error))
    })
  }

  #take(reply: Reply): void {
    if (reply.kind === 'done') {
      this.traffic.bytes += bytesOf(reply.result).byteLength
      this.traffic.seconds += reply.seconds
      this.#pending.shift()!(reply.result)
    } else if (reply.kind === 'failure') {
      const rank = reply.rank ?? this.rank
      this.#stop(new RankFailure(rank, this.#hosts[rank], reply.reason, reply.lost))
    }
  }

  /** Ends all that is waited for, now and later, with an error. */
  #stop(error: Error): void {
    this.#failure ??= error
    for (const reject of this.#waiting) reject(this.#failure)
    this.#waiting.clear()
  }

  #post(request: Request, moved: ArrayBuffer[] = []): void {
    this.#worker.postMessage(request, moved)
  }
}

/** The array itself, or a copy where it is a part of a buffer: buffers go to the thread as a whole. */
function ownBuffer<T extends Summed | Uint8Array<ArrayBuffer>>(array: T): T {
  return array.byteLength === array.buffer.byteLength ? array : (array.slice() as T)
}

function bytesOf(collective: Collective): { buffer: ArrayBuffer; byteLength: number } {
  switch (collective.kind) {
    case 'sum':
      return collective.values
    case 'broadcast':
      return collective.bytes
    case 'gather':
      return collective.all
  }
}
