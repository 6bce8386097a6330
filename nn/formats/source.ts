/** Bytes that are read by range, so that a file of any size needs no more memory than the part that is wanted. */
export interface ByteSource {
  readonly size: number
  /** The bytes from `begin` up to `end`, which are in [0, size]. The caller does not write to them. */
  read(begin: number, end: number): Uint8Array
}

/** Bytes that are in memory already; what is read is a view of them. */
export const bytesSource = (bytes: Uint8Array): ByteSource => ({
  size: bytes.byteLength,
  read: (begin, end) => bytes.subarray(begin, end),
})
