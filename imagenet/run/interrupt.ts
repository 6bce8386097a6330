/**
 * A request to stop during a run: Ctrl-C (SIGINT), or what batch systems send before they kill (SIGTERM). The first one
 * asks the run to stop where it can go on later, a second one ends the process.
 */
export class Interrupt {
  requested = false
  /** Exit status of a command that was asked to stop, by the shells' convention (128 + the signal's number). */
  status = INTERRUPTED
  readonly #signals: readonly NodeJS.Signals[]
  readonly #listener = (signal: NodeJS.Signals) => {
    // The default action of a second signal, now that nobody listens, is to end the process.
    this.requested = true
    if (signal === 'SIGTERM') this.status = TERMINATED
    this.close()
  }

  /** @param signals that ask */
  constructor(signals: readonly NodeJS.Signals[] = ['SIGINT', 'SIGTERM']) {
    this.#signals = signals
    for (const signal of signals) process.on(signal, this.#listener)
  }

  close(): void {
    for (const signal of this.#signals) process.removeListener(signal, this.#listener)
  }
}

/** Of SIGINT, 2. */
const INTERRUPTED = 130

/** Of SIGTERM, 15. */
const TERMINATED = 143
