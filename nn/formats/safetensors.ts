/**
 * Reads and writes safetensors files (https://github.com/huggingface/safetensors, section "Format"):
 *
 *     8 bytes   N, the header's length, little-endian u64
 *     N bytes   JSON: { name: { dtype, shape, data_offsets: [begin, end] }, …, "__metadata__": { string: string } }
 *     the rest  the tensors' bytes, little-endian, row-major, without holes or overlaps
 *
 * A file is data from a stranger: everything its header says is checked against the bytes that are there, before any
 * memory is taken.
 */
import { bitsOf, byteLengthOf, countOf, type Dtype, dtypeNames, holds, isDtype } from './dtypes.ts'
import { FormatError } from './errors.ts'
import { FileTensor, type SavedTensor } from './file_tensor.ts'
import { type ByteSource, bytesSource } from './source.ts'

/** The format's own limit; the reference implementation refuses longer headers too. */
const MAX_HEADER_BYTES = 100_000_000

export interface Safetensors {
  /** By name, in the header's order. */
  tensors: Map<string, FileTensor>
  metadata: Record<string, string>
}

/**
 * Reads a file's header; the tensors are read when they are asked for.
 * @throws FormatError when the file breaks a rule of the format or holds a dtype that is not understood.
 */
export function openSafetensors(source: ByteSource): Safetensors {
  const { header, dataStart } = readHeader(source)
  const dataBytes = source.size - dataStart
  const metadata = checkMetadata(header.__metadata__)
  const entries = Object.entries(header)
    .filter(([name]) => name !== '__metadata__')
    .map(([name, entry]) => checkEntry(name, entry, dataBytes))

  let covered = 0
  for (const { name, begin, end } of entries.toSorted((a, b) => a.begin - b.begin || a.end - b.end)) {
    if (begin < covered)
      fail(`'${name}' begins at byte ${begin}, inside the tensor before it, which ends at ${covered}`)
    if (begin > covered) fail(`bytes ${covered} to ${begin}, before '${name}', belong to no tensor`)
    covered = end
  }
  if (covered !== dataBytes) fail(`the last ${dataBytes - covered} bytes of the file belong to no tensor`)

  const tensors = new Map<string, FileTensor>()
  for (const { name, dtype, shape, begin, end } of entries)
    tensors.set(name, new FileTensor(dtype, shape, () => source.read(dataStart + begin, dataStart + end)))
  return { tensors, metadata }
}

/** Reads a whole file that is in memory; the tensors are views of it where the alignment allows it. */
export const readSafetensors = (bytes: Uint8Array): Safetensors => openSafetensors(bytesSource(bytes))

/**
 * A file as the pieces to put one after the other. Those of tensors in memory are views of them, so they must be stored
 * before the tensors change; tensors in another file are read as their turn comes, and go as they are, bit for bit.
 * The header keeps the order; of the bytes, those of wider elements come first, which keeps all of them aligned.
 * @throws FormatError, before the first piece, when a tensor's data contradicts its dtype or shape, or a name is
 * `__metadata__`. Floats of 16 bits and less can be written from a file only.
 */
export function writeSafetensors(
  tensors: Iterable<readonly [string, SavedTensor]>,
  metadata: Record<string, string> = {},
): Iterable<Uint8Array> {
  const header: Record<string, unknown> = Object.create(null)
  if (Object.keys(metadata).length > 0) header.__metadata__ = checkMetadata(metadata)
  const entries = [...tensors]
  for (const [name, tensor] of entries) {
    if (name === '__metadata__') fail(`no tensor can be named '__metadata__'`)
    if (Object.hasOwn(header, name)) fail(`two tensors are named '${name}'`)
    if (!(tensor instanceof FileTensor)) checkData(name, tensor)
    header[name] = null // its place
  }
  let at = 0
  const widestFirst = entries.toSorted(([, a], [, b]) => bitsOf(b.dtype) - bitsOf(a.dtype))
  for (const [name, { dtype, shape }] of widestFirst) {
    const size = byteLengthOf(dtype, shape)
    header[name] = { dtype, shape, data_offsets: [at, at + size] }
    at += size
  }

  const json = new TextEncoder().encode(JSON.stringify(header))
  const padded = Math.ceil(json.length / 8) * 8
  if (padded > MAX_HEADER_BYTES) fail(`the header takes ${padded} bytes, ${MAX_HEADER_BYTES} are allowed`)
  const start = new Uint8Array(8 + padded).fill(0x20)
  new DataView(start.buffer).setBigUint64(0, BigInt(padded), true)
  start.set(json, 8)
  return pieces(start, widestFirst)
}

function* pieces(start: Uint8Array, tensors: Iterable<readonly [string, SavedTensor]>): Generator<Uint8Array> {
  yield start
  for (const [, tensor] of tensors) yield storedBytes(tensor)
}

/** The bytes of a tensor that was checked, as files have them. */
export function storedBytes(tensor: SavedTensor): Uint8Array {
  if (tensor instanceof FileTensor) return tensor.bytes()
  const { data } = tensor
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
}

function checkData(name: string, { dtype, shape, data }: SavedTensor): void {
  if (!holds(dtype, data)) fail(`'${name}' is ${dtype}, its data a ${data.constructor.name}`)
  const count = countOf(shape)
  if (data.byteLength === byteLengthOf(dtype, shape)) return
  if (data.length === count) fail(`'${name}' is ${dtype}, which is read but not written from memory; make it F32`)
  fail(`'${name}' has ${data.length} elements, its shape [${shape.join(', ')}] ${count}`)
}

function fail(message: string): never {
  throw new FormatError(`safetensors: ${message}`)
}

function readHeader(source: ByteSource): { header: Record<string, unknown>; dataStart: number } {
  if (source.size < 8) fail(`the file has ${source.size} bytes, too few for the header's length`)
  const first = source.read(0, 8)
  const length = new DataView(first.buffer, first.byteOffset, 8).getBigUint64(0, true)
  if (length > MAX_HEADER_BYTES)
    fail(`the header claims ${length} bytes, ${MAX_HEADER_BYTES} are allowed; is this a safetensors file?`)
  const dataStart = 8 + Number(length)
  if (dataStart > source.size)
    fail(`the header claims ${length} bytes, the file has only ${source.size - 8} behind its length`)
  const bytes = source.read(8, dataStart)
  if (bytes[0] !== 0x7b) fail(`the header does not begin with '{'; is this a safetensors file?`)
  let text: string
  let header: unknown
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
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
  dtype: Dtype
  shape: number[]
  /** Bytes, counted from the end of the header. */
  begin: number
  end: number
}

function checkEntry(name: string, entry: unknown, dataBytes: number): Entry {
  if (!isObject(entry)) fail(`'${name}' is not described by an object`)
  const { dtype, shape, data_offsets: offsets } = entry
  if (!isDtype(dtype)) fail(`'${name}' has dtype ${JSON.stringify(dtype)}; understood are ${dtypeNames.join(', ')}`)
  const isSize = (value: unknown) => Number.isSafeInteger(value) && (value as number) >= 0
  if (!Array.isArray(shape) || !shape.every(isSize)) fail(`'${name}' has shape ${JSON.stringify(shape)}`)
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isSize))
    fail(`'${name}' has data_offsets ${JSON.stringify(offsets)}`)
  const [begin, end]: number[] = offsets
  if (begin > end || end > dataBytes)
    fail(`'${name}' claims bytes ${begin} to ${end} of ${dataBytes}; is the file cut short?`)
  const size = byteLengthOf(dtype, shape)
  if (size !== end - begin)
    fail(`'${name}' is ${dtype} [${shape.join(', ')}], ${size} bytes, but claims ${end - begin}`)
  return { name, dtype, shape, begin, end }
}
