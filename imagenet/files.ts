/** Files that are whole or not there. */
import {
  closeSync,
  copyFileSync,
  existsSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { FileError } from './errors.ts'

export interface WriteOptions {
  /** Called when all is on the disk under a temporary name, just before that becomes `file`. */
  beforeRename?: (temporary: string) => void
}

/**
 * Writes to a temporary name beside `file`, then renames: whoever opens `file` finds the old content or all of the new,
 * whenever the process or the machine stops.
 * @throws FileError
 */
export function writeFileAtomic(
  file: string,
  content: string | Uint8Array | Iterable<Uint8Array>,
  { beforeRename = () => {} }: WriteOptions = {},
): void {
  const parts =
    typeof content === 'string' ? [Buffer.from(content)] : content instanceof Uint8Array ? [content] : content
  const written = new AtomicFile(file)
  try {
    for (const part of parts) written.write(part)
    written.commit(beforeRename)
  } catch (error) {
    throw written.discard(error)
  }
}

/** `writeFileAtomic` for content that comes bit by bit. */
export async function writeStreamAtomic(file: string, content: AsyncIterable<Uint8Array>): Promise<void> {
  const written = new AtomicFile(file)
  try {
    for await (const part of content) written.write(part)
    written.commit()
  } catch (error) {
    throw written.discard(error)
  }
}

/** Gives a file that is never changed in place a second name, in the stead of what has that name. */
export function linkAtomic(file: string, name: string): void {
  const temporary = temporaryOf(name)
  rmSync(temporary, { force: true })
  try {
    linkSync(file, temporary)
  } catch {
    copyFileSync(file, temporary) // where the file system knows no links
  }
  renameSync(temporary, name)
  rmSync(temporary, { force: true }) // which is left where both were one file already
}

/**
 * Makes a folder and those it is in, where they are not there. Not by `mkdirSync`'s `recursive`, which for some places
 * that hold no folders, `/proc/x` among them, never ends (Node 20).
 * @throws Error with the system's `code`
 */
export function makeFolder(folder: string): void {
  if (existsSync(folder) && statSync(folder).isDirectory()) return
  if (dirname(folder) !== folder) makeFolder(dirname(folder))
  try {
    mkdirSync(folder)
  } catch (error) {
    // Another process may have made it meanwhile.
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST' || !statSync(folder).isDirectory()) throw error
  }
}

/**
 * Removes what processes that were killed while they wrote files have left of them. No other may be writing them now.
 * @param beginnings of the files' names
 */
export function removeLeftovers(folder: string, beginnings: readonly string[]): void {
  for (const name of readdirSync(folder))
    if (/\.\d+\.tmp$/.test(name) && beginnings.some((beginning) => name.startsWith(beginning)))
      rmSync(join(folder, name), { force: true })
}

const temporaryOf = (file: string): string => `${file}.${process.pid}.tmp`

class AtomicFile {
  readonly #file: string
  readonly #temporary: string
  readonly #fd: number
  #open = true

  constructor(file: string) {
    this.#file = file
    this.#temporary = temporaryOf(file)
    try {
      this.#fd = openSync(this.#temporary, 'w')
    } catch (error) {
      throw new FileError(file, error)
    }
  }

  write(part: Uint8Array): void {
    for (let written = 0; written < part.length; ) written += writeSync(this.#fd, part, written)
  }

  commit(beforeRename: (temporary: string) => void = () => {}): void {
    fsyncSync(this.#fd)
    this.#close()
    beforeRename(this.#temporary)
    renameSync(this.#temporary, this.#file)
    syncFolder(dirname(this.#file))
  }

  /** Removes what was written. Returns the error as one that names the file, where it is the disk's. */
  discard(error: unknown): unknown {
    this.#close()
    rmSync(this.#temporary, { force: true })
    return error instanceof Error && 'syscall' in error ? new FileError(this.#file, error) : error
  }

  #close(): void {
    if (this.#open) closeSync(this.#fd)
    this.#open = false
  }
}

/** A new name outlives a loss of power once its folder is on the disk. Windows opens no folders, and needs none of this. */
function syncFolder(folder: string): void {
  if (process.platform === 'win32') return
  const fd = openSync(folder, 'r')
  try {
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}
