/** Aborts what uses its signal once nothing has happened for some time. */
export class StallGuard {
  readonly #controller = new AbortController()
  readonly #timer: NodeJS.Timeout

  constructor(ms: number) {
    const stalled = () => this.#controller.abort(new Error(`nothing arrived for ${ms / 1000} s`))
    this.#timer = setTimeout(stalled, ms)
  }

  get signal(): AbortSignal {
    return this.#controller.signal
  }

  /** Something has happened. */
  reset(): void {
    this.#timer.refresh()
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer)
  }
}
