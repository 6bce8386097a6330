/** Makes pickles and archives, such as no torch.save would write too, and puts bytes into files. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { ZipFile } from 'yazl'
import { removeFolder, temporaryFolder } from '../../pictures.ts'

/** Opcodes and operands: text is one byte a character, numbers are bytes. */
export const bytes = (...parts: (string | number | Uint8Array)[]): Uint8Array =>
  new Uint8Array(
    Buffer.concat(
      parts.map((part) =>
        typeof part === 'number' ? Buffer.of(part) : typeof part === 'string' ? Buffer.from(part, 'latin1') : part,
      ),
    ),
  )

export function u32(value: number): Uint8Array {
  const four = new Uint8Array(4)
  new DataView(four.buffer).setUint32(0, value, true)
  return four
}

/** BINUNICODE */
export const text = (value: string): Uint8Array => bytes('X', u32(Buffer.byteLength(value)), Buffer.from(value))

export const int = (value: number): Uint8Array => bytes('J', u32(value))

export const tuple = (...items: Uint8Array[]): Uint8Array => bytes('(', ...items, 't')

export interface TensorParts {
  storage?: Uint8Array
  offset?: Uint8Array
  shape?: Uint8Array
  strides?: Uint8Array
  /** After `requires_grad` and the hooks. */
  more?: Uint8Array[]
  rebuild?: string
}

/** A reference to a storage; that of 4 floats under the key '0' unless told otherwise. */
export const storage = (type = 'torch\nFloatStorage', key = '0', count = int(4)): Uint8Array =>
  bytes(tuple(text('storage'), bytes('c', `${type}\n`), text(key), text('cpu'), count), 'Q')

/** A [2, 2] tensor of that storage, unless told otherwise. */
export const tensor = (parts: TensorParts = {}): Uint8Array => {
  const { offset = int(0), shape = tuple(int(2), int(2)), strides = tuple(int(2), int(1)), more = [] } = parts
  const hooks = bytes('ccollections\nOrderedDict\n)R')
  const args = [parts.storage ?? storage(), offset, shape, strides, bytes(0x89), hooks, ...more]
  return bytes(`ctorch._utils\n${parts.rebuild ?? '_rebuild_tensor_v2'}\n`, tuple(...args), 'R')
}

/** A whole pickle of `{'w': value}`. */
export const state = (value: Uint8Array): Uint8Array => bytes(0x80, 2, '}', text('w'), value, 's.')

export const FOUR_FLOATS = new Uint8Array(Float32Array.of(1, 2, 3, 4).buffer)

/** A zip archive of these records. */
export async function archive(
  records: Iterable<readonly [name: string, content: Uint8Array]>,
  { compress = false, zip64 = false } = {},
): Promise<Uint8Array> {
  const zip = new ZipFile()
  for (const [name, content] of records)
    zip.addBuffer(Buffer.from(content), name, { compress, forceZip64Format: zip64 })
  zip.end({ forceZip64Format: zip64, comment: '' })
  return buffer(zip.outputStream)
}

/** What torch.save would make of a pickle and storage '0'. */
export const pth = (pickle: Uint8Array, content = FOUR_FLOATS): Promise<Uint8Array> =>
  archive([
    ['a/data.pkl', pickle],
    ['a/data/0', content],
    ['a/version', bytes('3\n')],
  ])

let folder: string | undefined
let written = 0

/** The path of a file of these bytes, which is there until `removeFiles`. */
export function fileOf(content: Uint8Array): string {
  folder ??= temporaryFolder()
  const file = join(folder, `${written++}`)
  writeFileSync(file, content)
  return file
}

export function removeFiles(): void {
  if (folder) removeFolder(folder)
  folder = undefined
}
