/**
 * A table of features in two files: NAME.f32 holds the rows, f32 in the machine's byte order (little-endian wherever
 * WebGPU runs), NAME.json what they are of and a checksum of every chunk that is done. A chunk counts only once its
 * checksum is in the second file, which is replaced as a whole: so an interrupted build goes on, and a chunk that does
 * not have its checksum, whatever the reason, is computed again.
 */
import { createHash } from 'node:crypto'
import {
  closeSync,
  constants,
  fdatasyncSync,
  ftruncateSync,
  openSync,
  read,
  readFileSync,
  readSync,
  writeSync,
} from 'node:fs'
import { dirname } from 'node:path'
import { isDeepStrictEqual, promisify } from 'node:util'
import { makeFolder, writeFileAtomic } from '../../files.ts'

/** Rows of a chunk: 8 MiB of 2048 features, a second's work of a fast GPU. */
export const CHUNK_ROWS = 1024

/** Of the files: raised when their meaning changes. */
const FORMAT = 1

export interface Layout {
  /** What the features are computed from: JSON. */
  readonly key: Readonly<Record<string, unknown>>
  readonly rows: number
  /** Features a row. */
  readonly width: number
}

interface Chunk {
  readonly sha256: string
  /** Rows of images that could not be decoded, in ascending order. */
  readonly skipped: readonly number[]
}

/** NAME.json. A chunk is null until it is computed. */
interface Manifest extends Layout {
  readonly format: number
  readonly chunkRows: number
  readonly chunks: (Chunk | null)[]
}

/** Rows from `first` to before `end`. */
export interface RowRange {
  readonly first: number
  readonly end: number
}

const readAsync = promisify(read)

export class FeatureStore {
  /** The one that holds the rows. */
  readonly file: string
  readonly rows: number
  readonly width: number
  /** Chunks that did not have their checksum when the store was opened. */
  readonly damaged: number
  /** Rows of images that could not be decoded; they hold zeros. */
  readonly skipped = new Set<number>()
  readonly #manifest: Manifest
  readonly #manifestFile: string
  readonly #fd: number

  /**
   * Opens the two files, or makes them, and reads all that is there once to check it.
   * @param file the path of both without their endings
   */
  constructor(file: string, { key, rows, width }: Layout) {
    this.rows = rows
    this.width = width
    this.#manifestFile = `${file}.json`
    const chunkCount = Math.ceil(rows / CHUNK_ROWS)
    const head = { format: FORMAT, key, rows, width, chunkRows: CHUNK_ROWS }
    const { chunks, ...foundHead } = readManifest(this.#manifestFile)
    const isOurs = isDeepStrictEqual(foundHead, head) && Array.isArray(chunks) && chunks.length === chunkCount
    const none = new Array<null>(chunkCount).fill(null)
    this.#manifest = { ...head, chunks: isOurs ? chunks.map((chunk) => (isChunk(chunk) ? chunk : null)) : none }
    makeFolder(dirname(file))
    this.file = `${file}.f32`
    this.#fd = openSync(this.file, constants.O_RDWR | constants.O_CREAT)
    ftruncateSync(this.#fd, rows * width * Float32Array.BYTES_PER_ELEMENT)
    this.damaged = this.#verify()
  }

  /** What is still to be computed, in whole chunks, those side by side in one. */
  missing(): RowRange[] {
    const ranges: { first: number; end: number }[] = []
    for (const [i, chunk] of this.#manifest.chunks.entries()) {
      if (chunk) continue
      const { first, end } = this.#rowsOf(i)
      const last = ranges.at(-1)
      if (last?.end === first) last.end = end
      else ranges.push({ first, end })
    }
    return ranges
  }

  /**
   * Stores the chunk that begins at row `first`.
   * @param features [rows of the chunk, width]
   * @param skipped those of its rows that there are no features of, in ascending order
   */
  write(first: number, features: Float32Array, skipped: readonly number[]): void {
    const bytes = bytesOf(features)
    const start = first * this.width * Float32Array.BYTES_PER_ELEMENT
    this.#writeFully(bytes, start)
    fdatasyncSync(this.#fd)
    this.#manifest.chunks[first / CHUNK_ROWS] = { sha256: checksum(bytes, skipped), skipped }
    for (const row of skipped) this.skipped.add(row)
    writeFileAtomic(this.#manifestFile, `${JSON.stringify(this.#manifest)}\n`)
  }

  /** Features [rows.length, width] of any rows in any order; neighbours are read at once. */
  async read(rows: Uint32Array): Promise<Float32Array<ArrayBuffer>> {
    const features = new Float32Array(rows.length * this.width)
    const bytes = bytesOf(features)
    const rowBytes = this.width * Float32Array.BYTES_PER_ELEMENT
    const reads: Promise<void>[] = []
    for (let start = 0; start < rows.length; ) {
      let end = start + 1
      while (end < rows.length && rows[end] === rows[end - 1] + 1) end++
      reads.push(this.#readFully(bytes.subarray(start * rowBytes, end * rowBytes), rows[start] * rowBytes))
      start = end
    }
    await Promise.all(reads)
    return features
  }

  close(): void {
    closeSync(this.#fd)
  }

  /** @throws Error that says how much room is wanted, when the disk is full */
  #writeFully(bytes: Uint8Array, start: number): void {
    try {
      for (let done = 0; done < bytes.length; )
        done += writeSync(this.#fd, bytes, done, bytes.length - done, start + done)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
      const gigabytes = (this.rows * this.width * Float32Array.BYTES_PER_ELEMENT) / 1e9
      throw new Error(`the disk is full: the features beside ${this.#manifestFile} take ${gigabytes.toFixed(1)} GB`)
    }
  }

  async #readFully(into: Uint8Array, position: number): Promise<void> {
    for (let done = 0; done < into.length; ) {
      const { bytesRead } = await readAsync(this.#fd, into, done, into.length - done, position + done)
      if (bytesRead === 0) throw new Error(`${this.#manifestFile}: the features beside it were cut short meanwhile`)
      done += bytesRead
    }
  }

  /** Strikes out chunks that do not have their checksum. Returns how many. */
  #verify(): number {
    const { chunks } = this.#manifest
    let damaged = 0
    for (const [i, chunk] of chunks.entries()) {
      if (!chunk) continue
      const { first, end } = this.#rowsOf(i)
      const bytes = new Uint8Array((end - first) * this.width * Float32Array.BYTES_PER_ELEMENT)
      readSync(this.#fd, bytes, 0, bytes.length, first * this.width * Float32Array.BYTES_PER_ELEMENT)
      if (checksum(bytes, chunk.skipped) === chunk.sha256) for (const row of chunk.skipped) this.skipped.add(row)
      else {
        chunks[i] = null
        damaged++
      }
    }
    return damaged
  }

  #rowsOf(chunk: number): RowRange {
    return { first: chunk * CHUNK_ROWS, end: Math.min((chunk + 1) * CHUNK_ROWS, this.rows) }
  }
}

const bytesOf = ({ buffer, byteOffset, byteLength }: Float32Array): Uint8Array =>
  new Uint8Array(buffer, byteOffset, byteLength)

const checksum = (bytes: Uint8Array, skipped: readonly number[]): string =>
  createHash('sha256').update(bytes).update(JSON.stringify(skipped)).digest('hex')

/** Whether a file's word for a chunk is one. Whatever else it is, its checksum has still to fit. */
const isChunk = (chunk: Partial<Chunk> | null): chunk is Chunk =>
  typeof chunk?.sha256 === 'string' && Array.isArray(chunk.skipped) && chunk.skipped.every(Number.isSafeInteger)

/** What a file says; nothing when there is none, or it is no JSON. */
function readManifest(file: string): Partial<Manifest> {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) ?? {}
  } catch {
    return {}
  }
}
