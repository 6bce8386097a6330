/** What a loader and its worker threads say to each other. */
import type { Pixels, Recipe } from '../images/pixels.ts'

/** A batch for a worker to make. */
export interface Job {
  readonly recipe: Recipe
  /** Which draw of the augmentation. */
  readonly view: number
  readonly indices: Uint32Array
  readonly paths: readonly string[]
  /** Shared with whoever wants the batch: not 0 once nobody does. */
  readonly stop: StopFlag
}

export type StopFlag = Int32Array<SharedArrayBuffer>

export const newStopFlag = (): StopFlag => new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT))

/** @throws Error once the flag is set */
export function throwIfStopped(stop: StopFlag): void {
  if (Atomics.load(stop, 0) !== 0) throw new Error('the batch is no longer wanted')
}

/** A worker's answer: pixels, or why there are none and, if a file is to blame, which. */
export type Outcome = Pixels | { readonly pixels?: undefined; readonly file?: string; readonly reason: string }
