/**
 * Reads what torch.save wrote (torch/serialization.py): the zip archive of torch 1.6 and later, or the file of pickles
 * and storages before it. Tensors come as `FileTensor`s, read when they are asked for.
 */
import { type ByteSource, type Dtype, FormatError } from '../../../nn/index.ts'
import { ByteReader } from './byte_reader.ts'
import { type Storage, storage, torchRules } from './torch_objects.ts'
import { type PickleRules, unpickle } from './unpickle.ts'
import { readZip } from './zip.ts'

/** The first bytes of a zip archive. */
const ZIP_MAGIC = [0x50, 0x4b, 0x03, 0x04]

/** The older format begins with a pickle of this number. */
const LEGACY_MAGIC = 0x1950a86a20f9469cfc6cn
const LEGACY_MAGIC_PICKLE = [0x80, 0x02, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, 0x2e]
const LEGACY_PROTOCOL = 1001

export function isPth(source: ByteSource): boolean {
  return beginsWith(source, ZIP_MAGIC) || beginsWith(source, LEGACY_MAGIC_PICKLE)
}

/** What was saved, with FileTensors for tensors, Maps for dicts. @throws FormatError */
export async function readPth(source: ByteSource): Promise<unknown> {
  return beginsWith(source, ZIP_MAGIC) ? readArchive(source) : readLegacy(source)
}

function beginsWith(source: ByteSource, bytes: readonly number[]): boolean {
  if (source.size < bytes.length) return false
  const begin = source.read(0, bytes.length)
  return bytes.every((byte, i) => begin[i] === byte)
}

async function readArchive(source: ByteSource): Promise<unknown> {
  const records = await readZip(source)
  const names = [...records.keys()]
  const pickle = names.find((name) => /^[^/]+\/data\.pkl$/.test(name))
  if (pickle === undefined)
    throw new FormatError('it is a zip archive without data.pkl, so no file of torch.save; was it packed anew?')
  const folder = pickle.slice(0, -'data.pkl'.length)
  if (records.has(`${folder}constants.pkl`))
    throw new FormatError('it holds a TorchScript program, not weights; torch.save its state_dict() instead')
  const order = records.get(`${folder}byteorder`)
  if (order && String.fromCharCode(...source.read(order.begin, Math.min(order.end, order.begin + 8))) !== 'little')
    throw new FormatError('its numbers are big-endian')

  const storages = new Map<string, Storage>()
  const rules = torchRules(source, (key, dtype, count) =>
    known(storages, key, dtype, count, (found) => {
      const record = records.get(`${folder}data/${key}`)
      if (!record) throw new FormatError(`it has no record ${folder}data/${key}, which its pickle names`)
      const bytes = record.end - record.begin
      if (bytes !== found.byteLength)
        throw new FormatError(`its storage '${key}' has ${bytes} bytes, its pickle says ${found.byteLength}`)
      found.begin = record.begin
    }),
  )
  const { begin, end } = records.get(pickle)!
  return unpickle(new ByteReader(source, begin, end), rules)
}

/** These pickles say what the file is; they name nothing. */
const PLAIN: PickleRules = {
  global: () => undefined,
  persistent() {
    throw new FormatError('its header refers to storages')
  },
}

function readLegacy(source: ByteSource): unknown {
  const reader = new ByteReader(source, 0, source.size)
  const magic = unpickle(reader, PLAIN)
  const protocol = unpickle(reader, PLAIN)
  if (magic !== LEGACY_MAGIC || protocol !== LEGACY_PROTOCOL)
    throw new FormatError(`it is of protocol ${protocol}; torch.save before 1.6 wrote ${LEGACY_PROTOCOL}`)
  const system = unpickle(reader, PLAIN)
  if (!(system instanceof Map) || system.get('little_endian') !== true)
    throw new FormatError('its numbers are big-endian')

  const storages = new Map<string, Storage>()
  const rules = torchRules(source, (key, dtype, count) => known(storages, key, dtype, count))
  const root = unpickle(reader, rules)
  const keys = unpickle(reader, PLAIN)
  if (!Array.isArray(keys)) throw new FormatError('its list of storages is no list')
  let at = reader.position
  for (const key of keys) {
    const found = storages.get(key)
    if (!found || found.begin !== undefined) throw new FormatError(`it lists a storage that its pickle does not name`)
    if (at + 8 + found.byteLength > source.size)
      throw new FormatError(`it ends at byte ${source.size}, before storage '${key}' does; cut short?`)
    const count = new ByteReader(source, at, at + 8).view(8).getBigInt64(0, true)
    if (count !== BigInt(found.count))
      throw new FormatError(`its storage '${key}' has ${count} elements, its pickle says ${found.count}`)
    found.begin = at + 8
    at = found.begin + found.byteLength
  }
  for (const { key, begin } of storages.values())
    if (begin === undefined) throw new FormatError(`it lacks storage '${key}', which its pickle names`)
  return root
}

/** The storage of this key, the same one each time. @param found is told of a new one */
function known(
  storages: Map<string, Storage>,
  key: string,
  dtype: Dtype | null,
  count: number,
  found: (storage: Storage) => void = () => {},
): Storage {
  const seen = storages.get(key)
  if (seen) {
    if (seen.dtype !== dtype || seen.count !== count)
      throw new FormatError(`its pickle speaks of storage '${key}' in two ways`)
    return seen
  }
  const made = storage(key, dtype, count)
  found(made)
  storages.set(key, made)
  return made
}
