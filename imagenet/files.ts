/** Files that are whole or not there. */
import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeSync } from 'node:fs'

/** Writes to a temporary name beside `file`, then renames: whoever opens `file` finds the old content or all of the new. */
export function writeFileAtomic(file: string, content: string | Uint8Array | Iterable<Uint8Array>): void {
  const parts =
    typeof content === 'string' ? [Buffer.from(content)] : content instanceof Uint8Array ? [content] : content
  const written = new AtomicFile(file)
  try {
    for (const part of parts) written.write(part)
    written.commit()
  } catch (error) {
    written.discard()
    throw error
  }
}

/** `writeFileAtomic` for content that comes bit by bit. */
export async function writeStreamAtomic(file: string, content: AsyncIterable<Uint8Array>): Promise<void> {
  const written = new AtomicFile(file)
  try {
    for await (const part of content) written.write(part)
    written.commit()
  } catch (error) {
    written.discard()
    throw error
  }
}

class AtomicFile {
  readonly #file: string
  readonly #temporary: string
  readonly #fd: number
  #open = true

  constructor(file: string) {
    this.#file = file
    this.#temporary = `${file}.${process.pid}.tmp`
    this.#fd = openSync(this.#temporary, 'w')
  }

  write(part: Uint8Array): void {
    for (let written = 0; written < part.length; ) written += writeSync(this.#fd, part, written)
  }

  commit(): void {
    fsyncSync(this.#fd)
    this.#close()
    renameSync(this.#temporary, this.#file)
  }

  discard(): void {
    this.#close()
    rmSync(this.#temporary, { force: true })
  }

  #close(): void {
    if (this.#open) closeSync(this.#fd)
    this.#open = false
  }
}
