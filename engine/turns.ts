/**
 * The order in which work goes to the GPU. Where data is promised, what comes after it is kept back until it is there:
 * so nobody who gives commands need wait for what others compute.
 */
export class Turns {
  readonly #onError: (error: Error) => void
  /** The end of what is kept back; null while nothing is. */
  #last: Promise<void> | null = null

  /** @param onError is given the error of a promise that fails; what was kept back behind it never happens */
  constructor(onError: (error: Error) => void) {
    this.#onError = onError
  }

  /** Whether anything is kept back. */
  get waiting(): boolean {
    return this.#last !== null
  }

  /** Does `act` in its turn: at once, unless something is kept back. */
  take(act: () => void): void {
    if (this.#last) this.#append(this.#last.then(act))
    else act()
  }

  /** Does `act` in its turn once its data has come, and keeps back until then what is given after it. */
  takeAfter<T>(data: Promise<T>, act: (data: T) => void): void {
    data.catch(() => {}) // heard in its turn, which does not come when an earlier one failed
    this.#append(this.end().then(async () => act(await data)))
  }

  /** Ends when all that was given so far is done. */
  end(): Promise<void> {
    return this.#last ?? Promise.resolve()
  }

  /** Forgets what is kept back. */
  drop(): void {
    this.#last = null
  }

  #append(turn: Promise<void>): void {
    this.#last = turn
    const done = () => {
      if (this.#last === turn) this.#last = null
    }
    turn.then(done, (error: Error) => {
      if (this.#last === turn) this.#onError(error)
    })
  }
}
