/**
 * A checksum in a safetensors file: the metadata's `sha256` is that of the whole file, with zeros for its own digits. So
 * whatever changes in the file shows, in the header too, and every reader of safetensors reads it as before.
 */
import { createHash } from 'node:crypto'
import { closeSync, openSync, readSync } from 'node:fs'

const ZEROS = '0'.repeat(64)

/** The metadata of a file that is to be sealed. */
export const UNSEALED = { sha256: ZEROS }

/** Bytes read at a time. */
const CHUNK = 2 ** 20

/** Headers longer than this (ours have some 100 KB) are not looked into. */
const MOST_HEADER_BYTES = 2 ** 26

/**
 * Puts the checksum in its place. Returns the pieces to be written.
 * @param pieces of a file that has `UNSEALED` among its metadata, its header first
 */
export function seal(pieces: Iterable<Uint8Array>): Uint8Array[] {
  const all = [...pieces]
  const at = placeIn(all[0])
  if (at === null) throw new Error('seal: the file has no place for its checksum')
  const hash = createHash('sha256')
  for (const piece of all) hash.update(piece)
  all[0].set(Buffer.from(hash.digest('hex')), at)
  return all
}

/** Whether a file is as it was sealed; true for one that never was. */
export function isWhole(file: string): boolean {
  const fd = openSync(file, 'r')
  try {
    const length = Buffer.alloc(8)
    if (readSync(fd, length) < 8) return true
    const bytes = length.readBigUInt64LE()
    if (bytes > MOST_HEADER_BYTES) return true
    const header = Buffer.alloc(Number(bytes))
    if (readSync(fd, header) < header.length) return true
    const at = placeIn(header)
    if (at === null) return true
    const sealed = header.toString('latin1', at, at + ZEROS.length)
    header.write(ZEROS, at)
    const hash = createHash('sha256').update(length).update(header)
    const chunk = Buffer.alloc(CHUNK)
    for (let read = readSync(fd, chunk); read > 0; read = readSync(fd, chunk)) hash.update(chunk.subarray(0, read))
    return hash.digest('hex') === sealed
  } finally {
    closeSync(fd)
  }
}

/**
 * Where the digits begin. No other place looks like it: a quote within a JSON string is escaped, and a tensor of this name
 * would have an object behind it.
 */
function placeIn(header: Uint8Array): number | null {
  const text = Buffer.from(header.buffer, header.byteOffset, header.byteLength).toString('latin1')
  const found = /"sha256":"[0-9a-f]{64}"/.exec(text)
  return found && found.index + '"sha256":"'.length
}
