/** Reads a range of a source from its beginning to its end, a window at a time. */
import { type ByteSource, FormatError } from '../../../nn/index.ts'

/** Bytes that are fetched at a time: few calls for a pickle, and little where a file is large. */
const WINDOW_BYTES = 64 * 1024

export class ByteReader {
  /** Where in the source the next byte is. */
  #at: number
  readonly #source: ByteSource
  readonly #end: number
  /** The bytes of the source from `#windowBegin` on. */
  #window = new Uint8Array(0)
  #windowBegin = 0

  /** From `begin` up to `end` of the source. */
  constructor(source: ByteSource, begin: number, end: number) {
    this.#source = source
    this.#at = begin
    this.#end = end
  }

  get position(): number {
    return this.#at
  }

  byte(): number {
    const at = this.#at - this.#windowBegin
    if (at >= 0 && at < this.#window.length) {
      this.#at++
      return this.#window[at]
    }
    return this.bytes(1)[0]
  }

  /** The next `count` bytes, which are not to be written to. @throws FormatError when there are fewer */
  bytes(count: number): Uint8Array {
    if (!(count <= this.#end - this.#at))
      throw new FormatError(`${count} bytes are wanted at byte ${this.#at}, where it ends at ${this.#end}; cut short?`)
    const from = this.#at - this.#windowBegin
    if (from < 0 || from + count > this.#window.length) {
      const windowEnd = Math.min(this.#end, this.#at + Math.max(count, WINDOW_BYTES))
      this.#window = new Uint8Array(this.#source.read(this.#at, windowEnd))
      this.#windowBegin = this.#at
    }
    const at = this.#at - this.#windowBegin
    this.#at += count
    return this.#window.subarray(at, at + count)
  }

  view(count: number): DataView {
    const { buffer, byteOffset } = this.bytes(count)
    return new DataView(buffer, byteOffset, count)
  }

  /** Up to the next line feed, which is passed over. @param limit the most bytes that a line has */
  line(limit: number): string {
    const line: number[] = []
    for (let byte = this.byte(); byte !== 0x0a; byte = this.byte()) {
      if (line.length === limit) throw new FormatError(`a line is longer than ${limit} bytes`)
      line.push(byte)
    }
    return String.fromCharCode(...line)
  }
}
