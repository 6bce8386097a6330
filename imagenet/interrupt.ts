/** Ctrl-C during a run: the first one asks the run to stop where it can go on later, a second one ends the process. */
export class Interrupt {
  requested = false
  readonly #listener = () => {
    // The default action of a second Ctrl-C, now that nobody listens, is to end the process.
    this.requested = true
    process.removeListener('SIGINT', this.#listener)
  }

  constructor() {
    process.on('SIGINT', this.#listener)
  }

  close(): void {
    process.removeListener('SIGINT', this.#listener)
  }
}

/** Exit status of a command that SIGINT ended, by the shells' convention (128 + the signal's number). */
export const INTERRUPTED = 130
