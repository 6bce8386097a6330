/**
 * How much goes to the GPU in one command buffer. A driver's watchdog ends a command buffer that takes too long, and the
 * device with it: 2 s on Windows (TdrDelay, Microsoft's "Timeout detection and recovery"), 10 s by amdgpu's
 * lockup_timeout for graphics and compute jobs under Linux. Each command buffer's time is measured; where they get long,
 * the next ones hold fewer dispatches, and a dispatch that is too long by itself is split (kernel.ts).
 */

/** Enough that the GPU works while the CPU goes on encoding, few enough that it begins soon. */
const MOST_DISPATCHES = 128

/** Milliseconds. What takes longer is halved, what takes less than a quarter of it doubled: a quarter of the shortest watchdog. */
const LONG = 500

/** The one dispatch of a command buffer. */
export interface Sent {
  /** Its kernel and shapes: the next one of this name takes as long. */
  name: string
  /** Workgroups that it could be split into; 1 where it cannot. */
  groups: number
}

export class Pace {
  /** Dispatches that the next command buffer may hold. */
  dispatches = MOST_DISPATCHES
  /** Workgroups that a dispatch which can be split may hold, however short it is; for tests. */
  groups = Infinity
  /** Milliseconds that the longest command buffer of a single dispatch has taken, of those that cannot be split. */
  longest = 0
  /** Workgroups that a dispatch may hold, of those that have been too long. */
  readonly #groups = new Map<string, number>()
  /** When the command buffer before was done. */
  #free = 0

  /** Workgroups that the next dispatch of this name may hold. */
  groupsOf(name: string): number {
    return Math.min(this.groups, this.#groups.get(name) ?? Infinity)
  }

  /**
   * To be called when a command buffer was sent, with the time, and its dispatch if it has just one. Returns what is to be
   * called when the GPU has done it.
   */
  sent(dispatches: number, at: number, alone: Sent | null = null): (now: number) => void {
    return (now) => {
      const took = now - Math.max(at, this.#free)
      this.#free = now
      if (alone) this.#measured(alone, took)
      if (took > LONG) this.dispatches = Math.max(1, Math.min(this.dispatches, Math.floor(dispatches / 2)))
      else if (took < LONG / 4 && dispatches === this.dispatches)
        this.dispatches = Math.min(MOST_DISPATCHES, 2 * this.dispatches)
    }
  }

  #measured({ name, groups }: Sent, took: number): void {
    const most = this.#groups.get(name)
    if (groups === 1) this.longest = Math.max(this.longest, took)
    // Parts that were sent before the first of them was measured say the same again; and a rest is no measure.
    if (took > LONG && groups > 1) this.#groups.set(name, Math.min(most ?? Infinity, Math.floor(groups / 2)))
    else if (most && took < LONG / 4 && groups > most / 2 && groups <= most) this.#groups.set(name, 2 * most)
  }
}
