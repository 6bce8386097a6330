/** What the main thread and the thread that calls MPI say to each other. */
import type { Family } from './launch.ts'
import type { Summed } from './library.ts'

/** What the thread is started with. */
export interface Start {
  family: Family
  /** Seconds after which a rank that is not heard of counts as lost. */
  patience: number
}

/** Something that all ranks do together, in the same order on each. */
export type Collective =
  /** Sums over ranks, in place. */
  | { kind: 'sum'; values: Summed }
  /** Rank 0's bytes to all, in place. */
  | { kind: 'broadcast'; bytes: Uint8Array<ArrayBuffer> }
  /** Every rank's slot of `slot` bytes, one after the other; each rank has filled its own. */
  | { kind: 'gather'; all: Uint8Array<ArrayBuffer>; slot: number }

export type Request =
  | Collective
  /** Tells rank 0 why this rank cannot go on. */
  | { kind: 'report'; reason: string }
  /** Ends all ranks' processes. */
  | { kind: 'abort'; status: number }
  /** Ends MPI; the last one. */
  | { kind: 'close' }

export type Reply =
  | { kind: 'started'; version: string; rank: number; size: number }
  | { kind: 'refused'; reason: string }
  /** The oldest collective that was not answered yet is done. @param seconds that it took, from its turn on */
  | { kind: 'done'; result: Collective; seconds: number }
  /** Rank `rank`, this one where none is named, cannot go on: it said so, or, `lost`, says nothing any more. */
  | { kind: 'failure'; rank?: number; reason: string; lost?: boolean }
  | { kind: 'closed' }
