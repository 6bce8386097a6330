/**
 * A worker seen from outside: requests, answers, and what to do when none comes. Between answer and request its process
 * stands still: as long as anything is awaited of Dawn, jax-js's device.lost for one, Dawn asks its driver without a
 * pause, and takes a core from whoever's turn it is.
 */
import { fork } from 'node:child_process'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const WORKER = join(dirname(fileURLToPath(import.meta.url)), 'worker.js')

export class PeerProcess {
  #name
  #adapter
  #child
  #opened = false
  #waiting = null
  #stderr = ''
  /** Why there is no use in asking on, or null. */
  failure = null

  /** @param name of `PEERS` @param adapter its name, as Dawn lists it */
  constructor(name, adapter) {
    this.#name = name
    this.#adapter = adapter
    // What a peer prints would stand in the table.
    this.#child = fork(WORKER, [name, adapter], {
      serialization: 'advanced',
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    })
    this.#child.stderr.on('data', (text) => {
      this.#stderr = (this.#stderr + text).slice(-1000)
    })
    this.#child.on('message', (message) => this.#waiting?.(message))
    this.#child.on('exit', (code, signal) => this.#fail(`the process of ${name} ended (${signal ?? `status ${code}`})`))
  }

  /** A new process in place of one that failed. */
  again() {
    return new PeerProcess(this.#name, this.#adapter)
  }

  async open(limit) {
    if (!this.#opened) await this.ask('open', undefined, limit)
    this.#opened = true
  }

  /**
   * @param request what worker.js answers
   * @param limit seconds until the process is given up
   * @throws Error when the peer fails; `failure` is set when its process is gone
   */
  async ask(request, argument, limit) {
    if (this.failure) throw new Error(this.failure)
    let timer
    const message = await new Promise((resolve) => {
      this.#waiting = resolve
      this.#signal('SIGCONT')
      this.#child.send({ request, argument })
      timer = setTimeout(() => {
        this.#fail(`${this.#name} gave no answer to '${request}' within ${Math.round(limit)} s`)
        this.end()
      }, 1000 * limit)
    })
    clearTimeout(timer)
    this.#signal('SIGSTOP')
    if (message.error !== undefined) throw new Error(`${this.#name}: ${message.error}`)
    return message.result
  }

  #signal(name) {
    if (process.platform !== 'win32') this.#child.kill(name) // Windows knows no such signals
  }

  end() {
    this.failure ??= 'it was ended'
    this.#child.kill('SIGKILL')
  }

  #fail(reason) {
    if (process.env.DEBUG && !this.failure) console.error(this.#stderr)
    this.failure ??= reason
    this.#waiting?.({ error: this.failure })
  }
}
