/** The ranks of a run, and what they can do together. */
import type { Summed } from './library.ts'

/**
 * Processes that work on one run, numbered by `rank`. Each of these is done by all ranks, in the same order on each; the
 * order is that of the calls, also where what is handed over is a promise, so nobody need wait before the next call.
 * Every one rejects with `RankFailure` as soon as another rank cannot go on.
 */
export interface Communicator {
  readonly rank: number
  readonly size: number
  /** Hosts by rank. */
  readonly hosts: readonly string[]
  /** The sum over all ranks. The values handed over are used up. */
  sum<T extends Summed>(values: T | Promise<T>): Promise<T>
  /** Rank 0's bytes on all ranks; the others hand over as many of their own, which are used up. */
  broadcast(bytes: Uint8Array<ArrayBuffer> | Promise<Uint8Array<ArrayBuffer>>): Promise<Uint8Array<ArrayBuffer>>
  /** Every rank's text, by rank. */
  gather(text: string): Promise<string[]>
  /** Tells rank 0 that this rank cannot go on, and waits for the end of the process. */
  fail(reason: string): Promise<never>
  /** Ends the processes of all ranks. */
  abort(status: number): Promise<never>
  /** Waits for all ranks, and ends the talk. */
  close(): Promise<void>
}

/** A rank that cannot go on: it said so, or is not heard of any more. */
export class RankFailure extends Error {
  override name = 'RankFailure'
  readonly rank: number
  readonly reason: string
  /** Whether nothing is heard of it any more: its host may be gone. */
  readonly lost: boolean

  constructor(rank: number, host: string, reason: string, lost = false) {
    super(`rank ${rank} on ${host}: ${reason}`)
    this.rank = rank
    this.reason = reason
    this.lost = lost
  }
}
