/**
 * Writes values as a Python pickle of protocol 2, as torch.save does: with the opcodes and constructors that torch.load
 * takes with `weights_only=True`. Nothing is written twice by reference, which keeps the writer short and costs a
 * checkpoint of ResNet-152 some 200 kB of its 240 MB.
 */
import { countOf, type Dtype } from '../../../nn/formats/dtypes.ts'
import { FormatError, type SavedTensor } from '../../../nn/index.ts'
import { STORAGES } from './torch_objects.ts'

/** A number that is a float in Python though it is whole: a learning rate of 1. */
export class PyFloat {
  readonly value: number

  constructor(value: number) {
    this.value = value
  }
}

/** A dict that remembers its order, as a state dict is one. */
export class OrderedDict extends Map<string, Picklable> {}

export type Picklable =
  | null
  | boolean
  /** An int where it is whole. */
  | number
  | PyFloat
  | string
  | readonly Picklable[]
  | ReadonlyMap<string | number, Picklable>
  | SavedTensor

export interface Pickled {
  bytes: Uint8Array
  /** Tensor i is the storage of key `i`, whole and row-major. */
  tensors: SavedTensor[]
}

const STORAGE_OF = new Map(Object.entries(STORAGES).map(([name, dtype]) => [dtype, name] as [Dtype, string]))

/** @throws FormatError for a tensor of a dtype that PyTorch before 2.3 has not */
export function pickle(value: Picklable): Pickled {
  const writer = new Writer()
  writer.op(PROTO, 2)
  writer.value(value)
  writer.op(STOP)
  return { bytes: writer.bytes(), tensors: writer.tensors }
}

const PROTO = 0x80
const STOP = 0x2e // .
const MARK = 0x28 // (
const NONE = 0x4e // N
const TRUE = 0x88
const FALSE = 0x89
const BININT = 0x4a // J
const LONG1 = 0x8a
const BINFLOAT = 0x47 // G
const BINUNICODE = 0x58 // X
const EMPTY_TUPLE = 0x29 // )
const TUPLE = 0x74 // t
const EMPTY_LIST = 0x5d // ]
const APPENDS = 0x65 // e
const EMPTY_DICT = 0x7d // }
const SETITEMS = 0x75 // u
const GLOBAL = 0x63 // c
const REDUCE = 0x52 // R
const BINPERSID = 0x51 // Q

class Writer {
  readonly tensors: SavedTensor[] = []
  readonly #pieces: Uint8Array[] = []

  bytes(): Uint8Array {
    return new Uint8Array(Buffer.concat(this.#pieces))
  }

  /** An opcode, and its operands where they are single bytes. */
  op(...bytes: number[]): void {
    this.#pieces.push(Uint8Array.from(bytes))
  }

  value(value: Picklable): void {
    if (value === null) this.op(NONE)
    else if (typeof value === 'boolean') this.op(value ? TRUE : FALSE)
    else if (typeof value === 'string') this.#string(value)
    else if (value instanceof PyFloat) this.#float(value.value)
    else if (typeof value === 'number') Number.isSafeInteger(value) ? this.#integer(value) : this.#float(value)
    else if (value instanceof Map) this.#dict(value)
    else if (isTensor(value)) this.#tensor(value)
    else this.#list(value as readonly Picklable[])
  }

  #integer(value: number): void {
    if (value === (value | 0)) {
      this.op(BININT)
      this.#fixed(4, (view) => view.setInt32(0, value, true))
    } else {
      this.op(LONG1, 8)
      this.#fixed(8, (view) => view.setBigInt64(0, BigInt(value), true))
    }
  }

  #float(value: number): void {
    this.op(BINFLOAT)
    this.#fixed(8, (view) => view.setFloat64(0, value, false))
  }

  #string(text: string): void {
    const bytes = new TextEncoder().encode(text)
    this.op(BINUNICODE)
    this.#fixed(4, (view) => view.setUint32(0, bytes.length, true))
    this.#pieces.push(bytes)
  }

  #fixed(size: number, set: (view: DataView) => void): void {
    const bytes = new Uint8Array(size)
    set(new DataView(bytes.buffer))
    this.#pieces.push(bytes)
  }

  #global(module: string, name: string): void {
    this.op(GLOBAL)
    this.#pieces.push(new TextEncoder().encode(`${module}\n${name}\n`))
  }

  #tuple(items: readonly Picklable[]): void {
    this.op(MARK)
    for (const item of items) this.value(item)
    this.op(TUPLE)
  }

  #list(items: readonly Picklable[]): void {
    this.op(EMPTY_LIST, MARK)
    for (const item of items) this.value(item)
    this.op(APPENDS)
  }

  #dict(dict: ReadonlyMap<string | number, Picklable>): void {
    if (dict instanceof OrderedDict) this.#orderedDict()
    else this.op(EMPTY_DICT)
    this.op(MARK)
    for (const [key, value] of dict) {
      this.value(key)
      this.value(value)
    }
    this.op(SETITEMS)
  }

  #orderedDict(): void {
    this.#global('collections', 'OrderedDict')
    this.op(EMPTY_TUPLE, REDUCE)
  }

  /** `_rebuild_tensor_v2(storage, offset, shape, strides, requires_grad, backward_hooks)` */
  #tensor(tensor: SavedTensor): void {
    const { dtype, shape } = tensor
    const storage = STORAGE_OF.get(dtype)
    if (!storage) throw new FormatError(`a tensor of ${dtype}, which PyTorch before 2.3 does not know, cannot be saved`)
    const key = `${this.tensors.push(tensor) - 1}`
    this.#global('torch._utils', '_rebuild_tensor_v2')
    this.op(MARK)
    this.op(MARK)
    this.#string('storage')
    this.#global('torch', storage)
    for (const item of [key, 'cpu', countOf(shape)]) this.value(item)
    this.op(TUPLE, BINPERSID)
    this.value(0)
    this.#tuple(shape)
    this.#tuple(shape.map((_, axis) => countOf(shape.slice(axis + 1))))
    this.value(false)
    this.#orderedDict()
    this.op(TUPLE, REDUCE)
  }
}

const isTensor = (value: object): value is SavedTensor => 'dtype' in value
