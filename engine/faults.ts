/** What goes wrong on the GPU. WebGPU reports errors later than it makes them: the first one is kept until it is asked for. */
import { DeviceLostError, GpuError, OutOfMemoryError } from './errors.ts'

export class Faults {
  #first: Error | null = null

  /** Keeps an error, unless there is one: what follows mostly follows from it. */
  note(error: Error): void {
    this.#first ??= error
  }

  /** Keeps what the GPU says of a command. */
  noteReported(error: GPUError): void {
    this.note(
      error instanceof GPUOutOfMemoryError
        ? outOfMemory(`a command (${error.message})`)
        : new GpuError(`the GPU refused a command: ${error.message}`),
    )
  }

  /**
   * Keeps that there was no memory for something, in place of what commands with it have failed of.
   * @param what a tensor, say, and its bytes
   */
  noteOutOfMemory(what: string): void {
    if (!(this.#first instanceof DeviceLostError)) this.#first = outOfMemory(what)
  }

  /**
   * Keeps that the device was lost, in place of all else: whatever has failed by then has failed of this.
   * @param longest milliseconds that the longest dispatch has taken, of those that cannot be split
   */
  noteLoss({ reason, message }: GPUDeviceLostInfo, longest: number): void {
    const slow =
      longest > 1000
        ? ` (one dispatch, which cannot be split, took ${(longest / 1000).toFixed(1)} s, and drivers end those of a few seconds: compute fewer images at a time)`
        : ''
    this.#first = new DeviceLostError(`the GPU device was lost (${reason}): ${message}${slow}`)
  }

  /** Forgets what was none of the GPU's. */
  dropForeign(): void {
    if (!(this.#first instanceof GpuError)) this.#first = null
  }

  /** @throws Error the one that is kept. */
  check(): void {
    if (this.#first) throw this.#first
  }

  /** @throws DeviceLostError once the device is lost. */
  checkLost(): void {
    if (this.#first instanceof DeviceLostError) throw this.#first
  }
}

const outOfMemory = (what: string) => new OutOfMemoryError(what, 'the GPU has no memory left')
