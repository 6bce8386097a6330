/** A file on disk, read by range. */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { type ByteSource, FormatError } from '../../../nn/index.ts'

export class FileSource implements ByteSource {
  readonly size: number
  readonly #fd: number
  #open = true

  /** @throws Error with the system's `code` when the file cannot be opened */
  constructor(file: string) {
    this.#fd = openSync(file, 'r')
    this.size = fstatSync(this.#fd).size
  }

  read(begin: number, end: number): Uint8Array {
    if (!this.#open) throw new Error('the file was closed before all of it was read')
    // Not Buffer.allocUnsafe, whose pool gives memory that no array of wider elements can view.
    const bytes = new Uint8Array(end - begin)
    for (let done = 0; done < bytes.length; ) {
      const count = readSync(this.#fd, bytes, done, bytes.length - done, begin + done)
      if (count === 0) throw new FormatError(`the file became shorter while it was read`)
      done += count
    }
    return bytes
  }

  close(): void {
    if (this.#open) closeSync(this.#fd)
    this.#open = false
  }
}
