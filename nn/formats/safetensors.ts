/**
 * Reads and writes safetensors files (https://github.com/huggingface/safetensors, section "Format"):
 *
 *     8 bytes   N, the header's length, little-endian u64
 *     N bytes   JSON: { name: { dtype, shape, data_offsets: [begin, end] }, …, "__metadata__": { string: string } }
 *     the rest  the tensors' bytes, little-endian, row-major, without holes or overlaps
 *
 * A file is data from a stranger: everything its header says is checked against the bytes that are there, before any
 * memory is taken. Elements are read in the machine's byte order, which is little-endian wherever JavaScript runs.
 */

/** The format's own limit; the reference implementation refuses longer headers too. */
const MAX_HEADER_BYTES = 100_000_000

/** Element types that are understood, and the array that holds them. F16 and BF16 are stored as 16 raw bits. */
const ARRAYS = {
  F64: Float64Array,
  F32: Float32Array,
  F16: Uint16Array,
  BF16: Uint16Array,
  I64: BigInt64Array,
  U64: BigUint64Array,
  I32: Int32Array,
  U32: Uint32Array,
  I16: Int16Array,
  U16: Uint16Array,
  I8: Int8Array,
  U8: Uint8Array,
  BOOL: Uint8Array,
} as const

export type SafetensorsDtype = keyof typeof ARRAYS
export type SafetensorsData = InstanceType<(typeof ARRAYS)[SafetensorsDtype]>

export interface SafetensorsTensor {
  dtype: SafetensorsDtype
  /** Sizes of the axes, outermost first; [] is a scalar. */
  shape: readonly number[]
  /** The elements, row-major. Those of F16 and BF16 are decoded to a Float32Array. */
  data: SafetensorsData
}

export interface Safetensors {
  /** By name, in the order of their bytes in the file. */
  tensors: Map<string, SafetensorsTensor>
  metadata: Record<string, string>
}

/**
 * Reads a whole file. The tensors are views of `bytes` where the alignment allows it and copies where it does not.
 * @throws Error when the file breaks a rule of the format or holds a dtype that is not understood.
 */
export function readSafetensors(bytes: Uint8Array): Safetensors {
  const { header, dataStart } = readHeader(bytes)
  const dataBytes = bytes.byteLength - dataStart
  const metadata = checkMetadata(header.__metadata__)
  const entries = Object.entries(header)
    .filter(([name]) => name !== '__metadata__')
    .map(([name, entry]) => checkEntry(name, entry, dataBytes))
    .sort((a, b) => a.begin - b.begin || a.end - b.end)

  let covered = 0
  for (const { name, begin, end } of entries) {
    if (begin < covered)
      fail(`'${name}' begins at byte ${begin}, inside the tensor before it, which ends at ${covered}`)
    if (begin > covered) fail(`bytes ${covered} to ${begin}, before '${name}', belong to no tensor`)
    covered = end
  }
  if (covered !== dataBytes) fail(`the last ${dataBytes - covered} bytes of the file belong to no tensor`)

  const tensors = new Map<string, SafetensorsTensor>()
  for (const { name, dtype, shape, begin, end } of entries)
    tensors.set(name, { dtype, shape, data: elements(dtype, bytes.subarray(dataStart + begin, dataStart + end)) })
  return { tensors, metadata }
}

/**
 * Writes a file, as the pieces to put one after the other. The pieces behind the first are views of the tensors' own
 * memory, so they must be stored before the tensors change. Wider elements come first, which keeps all of them aligned.
 * @throws Error when a tensor's data contradicts its dtype or shape, or a name is `__metadata__`. F16 and BF16 are read
 * but not written.
 */
export function writeSafetensors(
  tensors: Iterable<readonly [string, SafetensorsTensor]>,
  metadata: Record<string, string> = {},
): Uint8Array[] {
  const header: Record<string, unknown> = Object.create(null)
  if (Object.keys(metadata).length > 0) header.__metadata__ = checkMetadata(metadata)
  const pieces: Uint8Array[] = []
  let at = 0
  const widestFirst = [...tensors].sort(([, a], [, b]) => b.data.BYTES_PER_ELEMENT - a.data.BYTES_PER_ELEMENT)
  for (const [name, { dtype, shape, data }] of widestFirst) {
    if (name === '__metadata__') fail(`no tensor can be named '__metadata__'`)
    if (Object.hasOwn(header, name)) fail(`two tensors are named '${name}'`)
    if (dtype === 'F16' || dtype === 'BF16') fail(`'${name}' is ${dtype}, which is read but not written; make it F32`)
    if (!(data instanceof ARRAYS[dtype])) fail(`'${name}' is ${dtype}, its data a ${data.constructor.name}`)
    const count = shape.reduce((product, size) => product * size, 1)
    if (data.length !== count) fail(`'${name}' has ${data.length} elements, its shape [${shape.join(', ')}] ${count}`)
    header[name] = { dtype, shape, data_offsets: [at, at + data.byteLength] }
    pieces.push(new Uint8Array(data.buffer, data.byteOffset, data.byteLength))
    at += data.byteLength
  }

  const json = new TextEncoder().encode(JSON.stringify(header))
  const padded = Math.ceil(json.length / 8) * 8
  if (padded > MAX_HEADER_BYTES) fail(`the header takes ${padded} bytes, ${MAX_HEADER_BYTES} are allowed`)
  const start = new Uint8Array(8 + padded).fill(0x20)
  new DataView(start.buffer).setBigUint64(0, BigInt(padded), true)
  start.set(json, 8)
  return [start, ...pieces]
}

function fail(message: string): never {
  throw new Error(`safetensors: ${message}`)
}

function readHeader(bytes: Uint8Array): { header: Record<string, unknown>; dataStart: number } {
  if (bytes.byteLength < 8) fail(`the file has ${bytes.byteLength} bytes, too few for the header's length`)
  const length = new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0, true)
  if (length > MAX_HEADER_BYTES)
    fail(`the header claims ${length} bytes, ${MAX_HEADER_BYTES} are allowed; is this a safetensors file?`)
  const dataStart = 8 + Number(length)
  if (dataStart > bytes.byteLength)
    fail(`the header claims ${length} bytes, the file has only ${bytes.byteLength - 8} behind its length`)
  if (bytes[8] !== 0x7b || length === 0n) fail(`the header does not begin with '{'; is this a safetensors file?`)
  let text: string
  let header: unknown
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes.subarray(8, dataStart))
    header = JSON.parse(text)
  } catch (error) {
    fail(`the header is not JSON: ${(error as Error).message}`)
  }
  refuseRepeatedNames(text)
  return { header: header as Record<string, unknown>, dataStart }
}

/**
 * JSON.parse silently keeps the last of two equal names, so that a file could mean different things to two readers.
 * `json` has been parsed before, so looking at strings, colons and braces is enough. (A regular expression for a string
 * overflows its stack on long ones.)
 */
function refuseRepeatedNames(json: string): void {
  const open: Set<string>[] = []
  let string = ''
  for (let at = 0; at < json.length; at++) {
    if (json[at] === '"') {
      const begin = at++
      while (json[at] !== '"') at += json[at] === '\\' ? 2 : 1
      string = json.slice(begin, at + 1)
    } else if (json[at] === ':') {
      const name: string = JSON.parse(string)
      const names = open.at(-1)!
      if (names.has(name)) fail(`the header says '${name}' twice`)
      names.add(name)
    } else if (json[at] === '{') open.push(new Set())
    else if (json[at] === '}') open.pop()
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function checkMetadata(metadata: unknown = {}): Record<string, string> {
  if (!isObject(metadata)) fail('__metadata__ is not an object')
  for (const [name, value] of Object.entries(metadata))
    if (typeof value !== 'string') fail(`__metadata__ '${name}' is not a string`)
  return metadata as Record<string, string>
}

interface Entry {
  name: string
  dtype: SafetensorsDtype
  shape: number[]
  /** Bytes, counted from the end of the header. */
  begin: number
  end: number
}

function checkEntry(name: string, entry: unknown, dataBytes: number): Entry {
  if (!isObject(entry)) fail(`'${name}' is not described by an object`)
  const { dtype, shape, data_offsets: offsets } = entry
  if (typeof dtype !== 'string' || !Object.hasOwn(ARRAYS, dtype))
    fail(`'${name}' has dtype ${JSON.stringify(dtype)}; understood are ${Object.keys(ARRAYS).join(', ')}`)
  const isSize = (value: unknown) => Number.isSafeInteger(value) && (value as number) >= 0
  if (!Array.isArray(shape) || !shape.every(isSize)) fail(`'${name}' has shape ${JSON.stringify(shape)}`)
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isSize))
    fail(`'${name}' has data_offsets ${JSON.stringify(offsets)}`)
  const [begin, end]: number[] = offsets
  if (begin > end || end > dataBytes)
    fail(`'${name}' claims bytes ${begin} to ${end} of ${dataBytes}; is the file cut short?`)
  const count: number = shape.reduce((product, size) => product * size, 1)
  const size = ARRAYS[dtype as SafetensorsDtype].BYTES_PER_ELEMENT
  // A product past 2^53 may be rounded, but stays far above any length that a file can have.
  if (count * size !== end - begin)
    fail(`'${name}' is ${dtype} [${shape.join(', ')}], ${count * size} bytes, but claims ${end - begin}`)
  return { name, dtype: dtype as SafetensorsDtype, shape, begin, end }
}

function elements(dtype: SafetensorsDtype, bytes: Uint8Array): SafetensorsData {
  const ArrayType = ARRAYS[dtype]
  // Not bytes.slice(): Node's Buffer overrides it with a view.
  const { buffer, byteOffset } = bytes.byteOffset % ArrayType.BYTES_PER_ELEMENT === 0 ? bytes : new Uint8Array(bytes)
  const raw = new ArrayType(buffer as ArrayBuffer, byteOffset, bytes.byteLength / ArrayType.BYTES_PER_ELEMENT)
  if (dtype === 'F16') return Float32Array.from(raw as Uint16Array, halfToFloat)
  if (dtype === 'BF16') return new Float32Array(Uint32Array.from(raw as Uint16Array, (bits) => bits << 16).buffer)
  return raw
}

/** IEEE 754 binary16: 1 bit of sign, 5 of exponent (bias 15), 10 of fraction. */
function halfToFloat(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1
  const exponent = (bits >> 10) & 0x1f
  const fraction = (bits & 0x3ff) / 1024
  if (exponent === 0) return sign * fraction * 2 ** -14
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN
  return sign * (1 + fraction) * 2 ** (exponent - 15)
}
