/** Ctrl-C during a run: the first one asks the run to stop where it can go on later, a second one ends the process. */
export class Interrupt {
  requested = false
  readonly #signals: readonly NodeJS.Signals[]
  readonly #listener = () => {
    // The default action of a second Ctrl-C, now that nobody listens, is to end the process.
    this.requested = true
    this.close()
  }

  /** @param signals that ask: Ctrl-C sends SIGINT */
  constructor(signals: readonly NodeJS.Signals[] = ['SIGINT']) {
    this.#signals = signals
    for (const signal of signals) process.on(signal, this.#listener)
  }

  close(): void {
    for (const signal of this.#signals) process.removeListener(signal, this.#listener)
  }
}

/** Exit status of a command that SIGINT ended, by the shells' convention (128 + the signal's number). */
export const INTERRUPTED = 130
