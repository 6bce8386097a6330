/** What PyTorch's files are made of: storages, and tensors that are views of them. */
import { byteLengthOf, countOf, type Dtype } from '../../../nn/formats/dtypes.ts'
import { type ByteSource, FileTensor, FormatError } from '../../../nn/index.ts'
import { Constructor, fillDict, type PickleRules } from './unpickle.ts'

/** Bytes in a file that tensors share. */
export interface Storage {
  readonly key: string
  /** null: bytes that each tensor gives a type of its own, as dtypes that came with torch 2.3 have it. */
  readonly dtype: Dtype | null
  /** Elements, or bytes where there is no dtype. */
  readonly count: number
  readonly byteLength: number
  /** Where it begins in the file; undefined until that is known. */
  begin?: number
}

/** `torch.FloatStorage`, which says what a storage's elements are. */
class StorageType {
  readonly dtype: Dtype | null

  constructor(dtype: Dtype | null) {
    this.dtype = dtype
  }
}

/** `torch.float32` */
class TorchDtype {
  readonly dtype: Dtype

  constructor(dtype: Dtype) {
    this.dtype = dtype
  }
}

/** Names of `torch`, where files say what a storage holds. */
export const STORAGES: Readonly<Record<string, Dtype>> = {
  DoubleStorage: 'F64',
  FloatStorage: 'F32',
  HalfStorage: 'F16',
  BFloat16Storage: 'BF16',
  LongStorage: 'I64',
  IntStorage: 'I32',
  ShortStorage: 'I16',
  CharStorage: 'I8',
  ByteStorage: 'U8',
  BoolStorage: 'BOOL',
  ComplexFloatStorage: 'C64',
}

const DTYPES: Readonly<Record<string, Dtype>> = {
  float64: 'F64',
  float32: 'F32',
  float16: 'F16',
  bfloat16: 'BF16',
  float8_e5m2: 'F8_E5M2',
  float8_e4m3fn: 'F8_E4M3',
  float8_e8m0fnu: 'F8_E8M0',
  complex64: 'C64',
  int64: 'I64',
  uint64: 'U64',
  int32: 'I32',
  uint32: 'U32',
  int16: 'I16',
  uint16: 'U16',
  int8: 'I8',
  uint8: 'U8',
  bool: 'BOOL',
}

/** The most elements that a tensor may have beyond those of its storage: expanded tensors repeat elements. */
const MAX_EXPANDED = 2 ** 20

/**
 * What a state dict's pickle may name.
 * @param source the file that the tensors are in
 * @param storageOf a storage by its key, dtype and count, checked against the file
 */
export function torchRules(
  source: ByteSource,
  storageOf: (key: string, dtype: Dtype | null, count: number) => Storage,
): PickleRules {
  const globals = new Map<string, unknown>()
  const callable = (name: string, call: (args: readonly unknown[]) => unknown) =>
    globals.set(name, new Constructor(name, call))

  callable('collections.OrderedDict', ([items = []]) => orderedDict(items))
  callable('torch.Size', ([sizes]) => sizesOf(sizes, 'torch.Size'))
  callable('torch._utils._rebuild_parameter', ([tensor]) =>
    tensor instanceof FileTensor ? tensor : refuse('a parameter of what is no tensor'),
  )
  callable('torch._utils._rebuild_tensor', (args) => tensorOf(source, args))
  callable('torch._utils._rebuild_tensor_v2', (args) => {
    refuseLazy(args[6])
    return tensorOf(source, args)
  })
  callable('torch._utils._rebuild_tensor_v3', (args) => {
    refuseLazy(args[7])
    return tensorOf(source, args, args[6])
  })
  for (const [name, dtype] of Object.entries(STORAGES))
    for (const module of ['torch', 'torch.cuda']) globals.set(`${module}.${name}`, new StorageType(dtype))
  globals.set('torch.storage.UntypedStorage', new StorageType(null))
  for (const [name, dtype] of Object.entries(DTYPES)) globals.set(`torch.${name}`, new TorchDtype(dtype))

  return {
    global: (name) => globals.get(name),
    persistent(id) {
      const [kind, type, key, _device, count, view] = Array.isArray(id) ? id : []
      if (kind === 'module') refuse('a whole module, which is a program; save its state_dict() instead')
      if (kind !== 'storage' || !(type instanceof StorageType) || typeof key !== 'string' || !isCount(count))
        refuse(`a reference to something that is no storage`)
      if (view !== undefined && view !== null) refuse('views of storages, as torch before 0.4 made them')
      return storageOf(key, type.dtype, count)
    },
  }
}

export const storage = (key: string, dtype: Dtype | null, count: number): Storage => ({
  key,
  dtype,
  count,
  byteLength: dtype === null ? count : byteLengthOf(dtype, [count]),
})

function orderedDict(items: unknown): Map<unknown, unknown> {
  const dict = new Map<unknown, unknown>()
  if (!Array.isArray(items)) refuse('an OrderedDict of what is no list')
  for (const item of items) {
    if (!Array.isArray(item)) refuse('an OrderedDict of what are no pairs')
    fillDict(dict, item)
  }
  return dict
}

/** Metadata says that elements are to be negated or conjugated when they are read. */
function refuseLazy(metadata: unknown): void {
  if (metadata instanceof Map && [...metadata.values()].some((value) => value !== false))
    refuse('a tensor that is negated or conjugated lazily; clone() it before it is saved')
}

/** @param type of the elements, where the storage has none */
function tensorOf(source: ByteSource, args: readonly unknown[], type?: unknown): FileTensor {
  const [from, offset, shape, strides] = args
  if (!isStorage(from)) refuse('a tensor of what is no storage')
  const dtype = type === undefined ? from.dtype : type instanceof TorchDtype ? type.dtype : null
  if (dtype === null) refuse('a tensor of no dtype')
  if (from.dtype !== null && from.dtype !== dtype) refuse(`a tensor of ${dtype} in a storage of ${from.dtype}`)
  const what = `a tensor of storage '${from.key}'`
  const sizes = sizesOf(shape, what)
  const steps = sizesOf(strides, what)
  if (sizes.length !== steps.length || !isCount(offset)) refuse(`${what} whose shape, strides and offset disagree`)
  const count = countOf(sizes)
  const size = byteLengthOf(dtype, [])
  const last = sizes.reduce((sum, extent, axis) => sum + (extent - 1) * steps[axis], offset)
  if (count > 0 && !((last + 1) * size <= from.byteLength))
    refuse(`${what}: [${sizes.join(', ')}] from element ${offset} on, past its ${from.byteLength / size} elements`)
  if (!(count <= Math.max(from.byteLength / size, MAX_EXPANDED)))
    refuse(`${what}: [${sizes.join(', ')}], ${count} elements, out of ${from.byteLength / size}`)
  return new FileTensor(dtype, sizes, () => {
    const begin = from.begin! + offset * size
    if (count === 0) return new Uint8Array(0)
    if (isRowMajor(sizes, steps)) return source.read(begin, begin + count * size)
    return gather(source.read(begin, from.begin! + (last + 1) * size), size, sizes, steps)
  })
}

/** Whether the elements lie one after the other. */
function isRowMajor(shape: readonly number[], strides: readonly number[]): boolean {
  let step = 1
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    if (shape[axis] !== 1 && strides[axis] !== step) return false
    step *= shape[axis]
  }
  return true
}

/** Elements of `size` bytes in row-major order; strides are in elements. */
function gather(bytes: Uint8Array, size: number, shape: readonly number[], strides: readonly number[]): Uint8Array {
  const out = new Uint8Array(countOf(shape) * size)
  const index = shape.map(() => 0)
  for (let at = 0, from = 0; at < out.length; at += size) {
    for (let byte = 0; byte < size; byte++) out[at + byte] = bytes[from * size + byte]
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      from += strides[axis]
      if (++index[axis] < shape[axis]) break
      from -= index[axis] * strides[axis]
      index[axis] = 0
    }
  }
  return out
}

const isStorage = (value: unknown): value is Storage =>
  typeof value === 'object' && value !== null && 'byteLength' in value && 'key' in value

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0

/** PyTorch's own limit is 64. */
const MAX_AXES = 64

/** A copy, since the pickle can still change its list. */
function sizesOf(sizes: unknown, what: string): number[] {
  if (!Array.isArray(sizes) || sizes.length > MAX_AXES || !sizes.every(isCount))
    refuse(`${what} whose shape or strides are no sizes`)
  return [...sizes]
}

function refuse(what: string): never {
  throw new FormatError(`the pickle has ${what}`)
}
