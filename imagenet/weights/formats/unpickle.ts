/**
 * Reads Python's pickles (the opcodes are those of pickletools.py) as data. A pickle is a program for a stack machine
 * that may call whatever it names; here it can name only what `rules` know, and nothing else of this process.
 *
 * The package `pickleparser` is not used: it calls methods of what a file made (`__setstate__`, `push`), assigns a
 * file's keys to objects that outlive the file, runs for ever on a string of negative length, overflows the stack on
 * long lists, cannot tell where one pickle ends and the next begins, and has no limits.
 *
 * None, bool, str, int and float become null, booleans, strings and numbers (bigint past 2^53), lists and tuples
 * arrays, dicts Maps.
 */
import { FormatError } from '../../../nn/index.ts'
import type { ByteReader } from './byte_reader.ts'

/** Something that a pickle may call, on arguments that it must check itself. */
export class Constructor {
  readonly name: string
  readonly call: (args: readonly unknown[]) => unknown

  constructor(name: string, call: (args: readonly unknown[]) => unknown) {
    this.name = name
    this.call = call
  }
}

export interface PickleRules {
  /** What a dotted name stands for, a `Constructor` or a value; undefined: it is not known. */
  global(name: string): unknown
  /** What the pickle keeps elsewhere, by its persistent id. @throws FormatError */
  persistent(id: unknown): unknown
}

/** A checkpoint of ResNet-152 with its optimizer takes 300 kB and makes 15,000 objects. */
const MAX_PICKLE_BYTES = 2 ** 22
const MAX_OBJECTS = 2 ** 18
/** Of torch.save's files, the magic number of the older format is the longest integer: 10 bytes. */
const MAX_INTEGER_BYTES = 16
const MAX_NAME_BYTES = 256
const MAX_STRING_BYTES = 2 ** 20

const MARK = Symbol('mark')

/** Reads one pickle and leaves the reader behind it. @throws FormatError */
export function unpickle(reader: ByteReader, rules: PickleRules): unknown {
  return new Machine(reader, rules).run()
}

class Machine {
  readonly #reader: ByteReader
  readonly #rules: PickleRules
  readonly #stack: unknown[] = []
  readonly #memo = new Map<number, unknown>()
  #objects = 0

  constructor(reader: ByteReader, rules: PickleRules) {
    this.#reader = reader
    this.#rules = rules
  }

  run(): unknown {
    const reader = this.#reader
    const begin = reader.position
    for (;;) {
      if (reader.position - begin > MAX_PICKLE_BYTES) fail(`is longer than ${MAX_PICKLE_BYTES} bytes`)
      const opcode = reader.byte()
      if (opcode === 0x2e) return this.pop() // '.' STOP
      const step = STEPS[opcode]
      if (!step) fail(`has opcode 0x${opcode.toString(16)} at byte ${reader.position - 1}, which weights do not need`)
      step(this, reader)
    }
  }

  push(value: unknown): void {
    this.#stack.push(value)
  }

  /** Pushes a container or what a constructor made. */
  pushObject(value: unknown): void {
    if (++this.#objects > MAX_OBJECTS) fail(`makes more than ${MAX_OBJECTS} objects`)
    this.#stack.push(value)
  }

  pop(): unknown {
    if (this.#stack.length === 0) fail('takes from an empty stack')
    const value = this.#stack.pop()
    return value === MARK ? fail('takes a mark for a value') : value
  }

  /** The topmost values down to the last mark, which goes too. */
  popToMark(): unknown[] {
    const mark = this.#stack.lastIndexOf(MARK)
    if (mark === -1) fail('wants a mark that is not there')
    const values = this.#stack.splice(mark)
    values.shift()
    return values
  }

  mark(): void {
    this.#stack.push(MARK)
  }

  #top(): unknown {
    const value = this.pop()
    this.#stack.push(value)
    return value
  }

  topList(): unknown[] {
    const list = this.#top()
    return Array.isArray(list) ? list : fail('appends to what is no list')
  }

  setItems(items: readonly unknown[]): void {
    const dict = this.#top()
    if (!(dict instanceof Map)) fail('sets an item of what is no dict')
    fillDict(dict, items)
  }

  memoize(index = this.#memo.size): void {
    this.#memo.set(index, this.#top())
  }

  recall(index: number): void {
    if (!this.#memo.has(index)) fail(`recalls value ${index}, which it never kept`)
    this.#stack.push(this.#memo.get(index))
  }

  pushGlobal(module: unknown, name: unknown): void {
    if (typeof module !== 'string' || typeof name !== 'string') fail('names a constructor by what is no string')
    const global = `${module}.${name}`
    const value = this.#rules.global(global)
    if (value === undefined)
      fail(`names ${printable(global)}, which is not among what weights are made of; nothing of it was run`)
    this.#stack.push(value)
  }

  reduce(): void {
    const args = this.pop()
    const callee = this.pop()
    if (!(callee instanceof Constructor)) fail('calls what is no constructor')
    if (!Array.isArray(args)) fail(`calls ${callee.name} without a tuple of arguments`)
    this.pushObject(callee.call(args))
  }

  /** Attributes of an OrderedDict, as PyTorch's `_metadata` of a state dict, say nothing about weights. */
  build(): void {
    const state = this.pop()
    if (!(this.#top() instanceof Map) || !(state instanceof Map)) fail('sets the state of what is no OrderedDict')
  }

  persistent(): void {
    this.pushObject(this.#rules.persistent(this.pop()))
  }
}

type Step = (machine: Machine, reader: ByteReader) => void

/** Operands: unsigned, little-endian. */
const u8 = (reader: ByteReader) => reader.byte()
const u16 = (reader: ByteReader) => reader.view(2).getUint16(0, true)
const u32 = (reader: ByteReader) => reader.view(4).getUint32(0, true)
const u64 = (reader: ByteReader) => Number(reader.view(8).getBigUint64(0, true))

const text = (length: (reader: ByteReader) => number, encoding: 'utf-8' | 'latin1'): Step => {
  return (machine, reader) => machine.push(readText(reader, length(reader), encoding))
}
const tuple = (length: number): Step => {
  return (machine) => {
    const items: unknown[] = []
    for (let i = 0; i < length; i++) items.unshift(machine.pop())
    machine.pushObject(items)
  }
}
const constant = (value: unknown): Step => {
  return (machine) => machine.push(value)
}

/** By opcode. Those of protocols 0 and 1 that torch.save never writes are left out. */
const STEPS: (Step | undefined)[] = []
const on = (opcode: string | number, step: Step) => {
  STEPS[typeof opcode === 'string' ? opcode.charCodeAt(0) : opcode] = step
}
on(0x80, (_, reader) => refuseProtocol(reader.byte())) // PROTO
on(0x95, (_, reader) => void reader.bytes(8)) // FRAME: only a hint for buffering
on('N', constant(null))
on(0x88, constant(true))
on(0x89, constant(false))
on('K', (machine, reader) => machine.push(u8(reader))) // BININT1
on('M', (machine, reader) => machine.push(u16(reader))) // BININT2
on('J', (machine, reader) => machine.push(reader.view(4).getInt32(0, true))) // BININT
on(0x8a, (machine, reader) => machine.push(integer(reader, u8(reader)))) // LONG1
on(0x8b, (machine, reader) => machine.push(integer(reader, u32(reader)))) // LONG4
on('G', (machine, reader) => machine.push(reader.view(8).getFloat64(0, false))) // BINFLOAT
on('X', text(u32, 'utf-8')) // BINUNICODE
on(0x8c, text(u8, 'utf-8')) // SHORT_BINUNICODE
on(0x8d, text(u64, 'utf-8')) // BINUNICODE8
on('T', text(u32, 'latin1')) // BINSTRING: Python 2's str
on('U', text(u8, 'latin1')) // SHORT_BINSTRING
on('(', (machine) => machine.mark())
on(')', tuple(0))
on(0x85, tuple(1))
on(0x86, tuple(2))
on(0x87, tuple(3))
on('t', (machine) => machine.pushObject(machine.popToMark())) // TUPLE
on(']', (machine) => machine.pushObject([])) // EMPTY_LIST
on('a', (machine) => append(machine, [machine.pop()])) // APPEND
on('e', (machine) => append(machine, machine.popToMark())) // APPENDS
on('}', (machine) => machine.pushObject(new Map())) // EMPTY_DICT
on('s', setItem) // SETITEM
on('u', (machine) => machine.setItems(machine.popToMark())) // SETITEMS
on('q', (machine, reader) => machine.memoize(u8(reader))) // BINPUT
on('r', (machine, reader) => machine.memoize(u32(reader))) // LONG_BINPUT
on(0x94, (machine) => machine.memoize()) // MEMOIZE
on('h', (machine, reader) => machine.recall(u8(reader))) // BINGET
on('j', (machine, reader) => machine.recall(u32(reader))) // LONG_BINGET
on('c', (machine, reader) => machine.pushGlobal(reader.line(MAX_NAME_BYTES), reader.line(MAX_NAME_BYTES))) // GLOBAL
on(0x93, stackGlobal) // STACK_GLOBAL
on('R', (machine) => machine.reduce()) // REDUCE
on('b', (machine) => machine.build()) // BUILD
on('Q', (machine) => machine.persistent()) // BINPERSID

function setItem(machine: Machine): void {
  const value = machine.pop()
  machine.setItems([machine.pop(), value])
}

function stackGlobal(machine: Machine): void {
  const name = machine.pop()
  machine.pushGlobal(machine.pop(), name)
}

function append(machine: Machine, items: readonly unknown[]): void {
  const list = machine.topList()
  for (const item of items) list.push(item)
}

/** Sets keys and values, which come by turns, of a dict. */
export function fillDict(dict: Map<unknown, unknown>, items: readonly unknown[]): void {
  if (items.length % 2 !== 0) fail('has a key without a value')
  for (let i = 0; i < items.length; i += 2) {
    const key = items[i]
    if (typeof key === 'object' && key !== null) fail('has a dict whose key is no string and no number')
    dict.set(key, items[i + 1])
  }
}

/** Highest protocol that Python has. */
const MAX_PROTOCOL = 5

function refuseProtocol(protocol: number): void {
  if (protocol > MAX_PROTOCOL) fail(`is of protocol ${protocol}; up to ${MAX_PROTOCOL} are known`)
}

/** A signed integer of so many bytes, little-endian. */
function integer(reader: ByteReader, length: number): number | bigint {
  if (length > MAX_INTEGER_BYTES) fail(`has an integer of ${length} bytes`)
  let value = 0n
  for (const byte of reader.bytes(length).toReversed()) value = (value << 8n) | BigInt(byte)
  value = BigInt.asIntN(8 * length, value)
  const number = Number(value)
  return Number.isSafeInteger(number) ? number : value
}

function readText(reader: ByteReader, length: number, encoding: 'utf-8' | 'latin1'): string {
  if (length > MAX_STRING_BYTES) fail(`has a string of ${length} bytes`)
  const bytes = reader.bytes(length)
  try {
    return new TextDecoder(encoding, { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    fail('has a string that is not UTF-8')
  }
}

/** A name from a stranger, fit for a terminal. */
const printable = (name: string): string => name.replace(/[^\x20-\x7e]/g, '?')

function fail(what: string): never {
  throw new FormatError(`the pickle ${what}`)
}
