/** Files that are whole or not there. */
import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeSync } from 'node:fs'

/** Writes to a temporary name beside `file`, then renames: whoever opens `file` finds the old content or all of the new. */
export function writeFileAtomic(file: string, content: string | Uint8Array | Iterable<Uint8Array>): void {
  const temporary = `${file}.${process.pid}.tmp`
  const parts =
    typeof content === 'string' ? [Buffer.from(content)] : content instanceof Uint8Array ? [content] : content
  try {
    const fd = openSync(temporary, 'w')
    try {
      for (const part of parts) for (let written = 0; written < part.length; ) written += writeSync(fd, part, written)
      fsyncSync(fd)
    } finally {
      closeSync(fd)
    }
    renameSync(temporary, file)
  } catch (error) {
    rmSync(temporary, { force: true })
    throw error
  }
}
