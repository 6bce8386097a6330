/**
 * How many dispatches go to the GPU in one command buffer. A driver's watchdog ends a command buffer that takes too long,
 * and the device with it: 2 s on Windows (TdrDelay, Microsoft's "Timeout detection and recovery"), 10 s by amdgpu's
 * lockup_timeout for graphics and compute jobs under Linux. Each command buffer's time is measured; where they get long,
 * the next ones are split into shorter ones.
 */

/** Enough that the GPU works while the CPU goes on encoding, few enough that it begins soon. */
const MOST_DISPATCHES = 128

/** Milliseconds. One that takes longer is halved, one of less than a quarter of it doubled: a quarter of the shortest watchdog. */
const LONG = 500

export class Pace {
  /** Dispatches that the next command buffer may hold. */
  dispatches = MOST_DISPATCHES
  /** Milliseconds that the longest command buffer of a single dispatch has taken. */
  longest = 0
  /** When the command buffer before was done. */
  #free = 0

  /** To be called when a command buffer was sent, with the time. Returns what is to be called when the GPU has done it. */
  sent(dispatches: number, at: number): (now: number) => void {
    return (now) => {
      const took = now - Math.max(at, this.#free)
      this.#free = now
      if (dispatches === 1) this.longest = Math.max(this.longest, took)
      if (took > LONG) this.dispatches = Math.max(1, Math.min(this.dispatches, Math.floor(dispatches / 2)))
      else if (took < LONG / 4 && dispatches === this.dispatches)
        this.dispatches = Math.min(MOST_DISPATCHES, 2 * this.dispatches)
    }
  }
}
