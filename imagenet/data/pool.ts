import { Worker } from 'node:worker_threads'
import { DecodeError } from '../errors.ts'
import type { Pixels } from '../images/pixels.ts'
import { builtFile } from '../locate.ts'
import type { Job, Outcome } from './job.ts'

interface Task {
  readonly job: Job
  readonly resolve: (pixels: Pixels) => void
  readonly reject: (error: Error) => void
}

/** Threads that make batches of files. They start with the first job and let the process exit while they have none. */
export class DecodePool {
  readonly size: number
  readonly #workers: Worker[] = []
  readonly #idle: Worker[] = []
  readonly #running = new Map<Worker, Task>()
  readonly #waiting: Task[] = []
  #failure: Error | undefined

  constructor(size: number) {
    this.size = size
  }

  /**
   * The pixels of a batch, moved here from the worker that made them. Jobs begin in the order given.
   *
   * @throws DecodeError for a file that cannot be decoded; Error when the job is stopped, the pool closed, a worker dead
   */
  run(job: Job): Promise<Pixels> {
    if (this.#failure) return Promise.reject(this.#failure)
    while (this.#workers.length < this.size) this.#start()
    return new Promise((resolve, reject) => {
      this.#waiting.push({ job, resolve, reject })
      this.#dispatch()
    })
  }

  /** Ends the threads at once, in the midst of their jobs. */
  async close(): Promise<void> {
    this.#fail(new Error('the image loader has been closed'))
    await Promise.all(this.#workers.map((worker) => worker.terminate()))
  }

  #start(): void {
    const worker = new Worker(builtFile('decode.worker.js'))
    worker.unref()
    worker.on('message', (outcome: Outcome) => this.#finish(worker, outcome))
    worker.on('error', (error) => this.#fail(new Error(`an image decoding thread died: ${error.message}`)))
    worker.on('exit', () => this.#fail(new Error('an image decoding thread ended by itself')))
    this.#workers.push(worker)
    this.#idle.push(worker)
  }

  #dispatch(): void {
    while (this.#waiting.length > 0 && this.#idle.length > 0) {
      const task = this.#waiting.shift()!
      const worker = this.#idle.pop()!
      this.#running.set(worker, task)
      worker.ref()
      worker.postMessage(task.job)
    }
  }

  #finish(worker: Worker, outcome: Outcome): void {
    const task = this.#running.get(worker)
    if (!task) return // failed or closed meanwhile
    this.#running.delete(worker)
    this.#idle.push(worker)
    worker.unref()
    this.#dispatch()
    if (outcome.pixels) task.resolve(outcome)
    else if (outcome.file) task.reject(new DecodeError(outcome.file, outcome.reason))
    else task.reject(new Error(outcome.reason))
  }

  /** After a failure nothing more is done: every job, begun or not, ends with it. */
  #fail(error: Error): void {
    this.#failure ??= error
    for (const { reject } of [...this.#running.values(), ...this.#waiting]) reject(this.#failure)
    this.#running.clear()
    this.#waiting.length = 0
  }
}
