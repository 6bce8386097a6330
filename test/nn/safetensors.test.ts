import { readFile } from 'node:fs/promises'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { SavedTensor } from '../../nn/formats/file_tensor.ts'
import { readSafetensors, writeSafetensors } from '../../nn/formats/safetensors.ts'

const test = suite('safetensors')

/** A file with this header text (padded as the format wants it, unless `pad` is false) and these bytes behind it. */
function file(header: unknown, data: Uint8Array | number = 0, headerLength?: bigint): Uint8Array {
  const text = new TextEncoder().encode(typeof header === 'string' ? header : JSON.stringify(header))
  const rest = typeof data === 'number' ? new Uint8Array(data) : data
  const bytes = new Uint8Array(8 + text.length + rest.length)
  new DataView(bytes.buffer).setBigUint64(0, headerLength ?? BigInt(text.length), true)
  bytes.set(text, 8)
  bytes.set(rest, 8 + text.length)
  return bytes
}

const f32 = (shape: unknown, begin: unknown, end: unknown) => ({ dtype: 'F32', shape, data_offsets: [begin, end] })

function join(pieces: Iterable<Uint8Array>): Uint8Array {
  return new Uint8Array(Buffer.concat([...pieces]))
}

/** For comparisons that tell -0 from 0 and find NaN equal to itself. */
function rawBytes(data: ArrayBufferView): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
}

test('reads a file that Python wrote', async () => {
  const { tensors, metadata } = readSafetensors(await readFile('test/fixtures/small.safetensors'))
  assert.equal(metadata, {})
  assert.equal(tensors.get('conv1.weight')?.shape, [64, 3, 7, 7])
  const weight = tensors.get('conv1.weight')!.data as Float32Array
  assert.is(weight.length, 64 * 3 * 7 * 7)
  assert.ok(weight.every((value) => Number.isFinite(value) && value !== 0))
  const batches = tensors.get('bn1.num_batches_tracked')!
  assert.equal([batches.dtype, batches.shape, batches.data.length], ['I64', [], 1])
  assert.is(typeof batches.data[0], 'bigint')
})

test('writes what it reads back', () => {
  const tensors = new Map<string, SavedTensor>([
    ['flag', { dtype: 'BOOL', shape: [3], data: Uint8Array.of(1, 0, 1) }],
    ['w', { dtype: 'F32', shape: [2, 2], data: Float32Array.of(1.5, -0, NaN, Infinity) }],
    ['steps', { dtype: 'I64', shape: [], data: BigInt64Array.of(-(2n ** 63n)) }],
    ['d', { dtype: 'F64', shape: [1], data: Float64Array.of(Math.PI) }],
    ['i', { dtype: 'I32', shape: [1, 2], data: Int32Array.of(-5, 7) }],
    ['empty', { dtype: 'U16', shape: [4, 0], data: new Uint16Array(0) }],
    ['__proto__', { dtype: 'U8', shape: [1], data: Uint8Array.of(255) }],
    ['grüße "1"\\', { dtype: 'I8', shape: [1], data: Int8Array.of(-1) }],
  ])
  const metadata = { format: 'pt', options: '{"p":0.5}' }
  const bytes = join(writeSafetensors(tensors, metadata))
  const back = readSafetensors(bytes)
  assert.equal(back.metadata, metadata)
  assert.equal([...back.tensors.keys()].sort(), [...tensors.keys()].sort())
  for (const [name, tensor] of tensors) {
    const read = back.tensors.get(name)!
    assert.equal([read.dtype, read.shape], [tensor.dtype, tensor.shape], name)
    assert.equal(read.data.constructor, tensor.data.constructor, name)
    assert.equal(rawBytes(read.data), rawBytes(tensor.data), name)
  }
  assert.is(new DataView(bytes.buffer).getBigUint64(0, true) % 8n, 0n)
})

test('pads the header so that every tensor is aligned and needs no copy', () => {
  const bytes = join(
    writeSafetensors([
      ['odd', { dtype: 'U8', shape: [3], data: new Uint8Array(3) }],
      ['wide', { dtype: 'F64', shape: [1], data: new Float64Array(1) }],
      ['w', { dtype: 'F32', shape: [1], data: new Float32Array(1) }],
    ]),
  )
  for (const [name, { data }] of readSafetensors(bytes).tensors) assert.is(data.buffer, bytes.buffer, name)
})

test('copies tensors whose bytes are not aligned', () => {
  const data = new Uint8Array(9)
  new DataView(data.buffer).setFloat32(1, 2.5, true)
  new DataView(data.buffer).setFloat32(5, -3, true)
  const bytes = file({ a: { dtype: 'U8', shape: [1], data_offsets: [0, 1] }, b: f32([2], 1, 9) }, data)
  for (let shift = 0; shift < 8; shift++) {
    // Node's readFile gives Buffers, whose slice() does not copy.
    const shifted = Buffer.alloc(bytes.length + 8).subarray(shift, shift + bytes.length)
    shifted.set(bytes)
    assert.equal(readSafetensors(shifted).tensors.get('b')!.data, Float32Array.of(2.5, -3))
  }
})

test('decodes half precision', () => {
  const halves = Uint16Array.of(0x3c00, 0xc000, 0x3555, 0x0001, 0x83ff, 0x7bff, 0x7c00, 0xfc00, 0x8000)
  const brains = Uint16Array.of(0x3f80, 0xc000, 0x7f80)
  const data = new Uint8Array([...new Uint8Array(halves.buffer), ...new Uint8Array(brains.buffer)])
  const { tensors } = readSafetensors(
    file(
      {
        h: { dtype: 'F16', shape: [9], data_offsets: [0, 18] },
        b: { dtype: 'BF16', shape: [3], data_offsets: [18, 24] },
      },
      data,
    ),
  )
  const expected = [1, -2, 0x555 / 4096, 2 ** -24, -1023 * 2 ** -24, 65504, Infinity, -Infinity, -0]
  assert.equal(tensors.get('h')!.data, Float32Array.from(expected))
  assert.equal(tensors.get('b')!.data, Float32Array.of(1, -2, Infinity))
  const nan = readSafetensors(file({ h: { dtype: 'F16', shape: [1], data_offsets: [0, 2] } }, Uint8Array.of(1, 0x7e)))
  assert.ok(Number.isNaN(nan.tensors.get('h')!.data[0]))
})

const NARROW: [dtype: string, bytes: number[], expected: number[]][] = [
  // Micikevicius et al. 2022, table 1: one, two, the smallest, the largest, infinity or NaN, -0.
  ['F8_E5M2', [0x3c, 0xc0, 0x01, 0x7b, 0x7c, 0x80], [1, -2, 2 ** -16, 57344, Infinity, -0]],
  ['F8_E4M3', [0x38, 0xc0, 0x01, 0x7e, 0x7f, 0x80], [1, -2, 2 ** -9, 448, NaN, -0]],
  ['F8_E8M0', [127, 128, 0, 254, 255], [1, 2, 2 ** -127, 2 ** 127, NaN]],
]
for (const [dtype, stored, expected] of NARROW)
  test(`decodes ${dtype}`, () => {
    const header = { w: { dtype, shape: [stored.length], data_offsets: [0, stored.length] } }
    const { data } = readSafetensors(file(header, Uint8Array.from(stored))).tensors.get('w')!
    assert.equal(rawBytes(data), rawBytes(Float32Array.from(expected)))
  })

test('knows the sizes of packed and of complex elements', () => {
  const of = (dtype: string, shape: number[], size: number) =>
    readSafetensors(file({ w: { dtype, shape, data_offsets: [0, size] } }, size)).tensors.get('w')!.data
  assert.is(of('F4', [3, 2], 3).length, 3)
  assert.is(of('F6_E2M3', [4], 3).length, 3)
  assert.is(of('C64', [2], 16).length, 4)
  assert.throws(() => of('F4', [3], 2), /'w' is F4 \[3\], 1\.5 bytes, but claims 2/)
})

test('writes a tensor from a file bit for bit, halves too', () => {
  // A NaN whose payload no number keeps.
  const stored = Uint8Array.of(0x01, 0x7e, 0x00, 0x80)
  const from = readSafetensors(file({ h: { dtype: 'F16', shape: [2], data_offsets: [0, 4] } }, stored))
  const back = readSafetensors(join(writeSafetensors(from.tensors, { kept: 'yes' })))
  assert.equal(back.tensors.get('h')!.bytes(), stored)
  assert.equal(back.metadata, { kept: 'yes' })
})

test('accepts the corners of the format', () => {
  assert.is(readSafetensors(file('{}')).tensors.size, 0)
  assert.is(readSafetensors(file('{}    ')).tensors.size, 0)
  assert.equal(readSafetensors(file({ __metadata__: { a: '1' } })).metadata, { a: '1' })
  const zero = file({ b: f32([0, 5], 4, 4), a: f32([1], 0, 4), c: f32([0], 4, 4) }, 4)
  assert.is(readSafetensors(zero).tensors.size, 3)
  const unsorted = readSafetensors(file({ second: f32([1], 4, 8), first: f32([], 0, 4) }, 8))
  assert.equal([...unsorted.tensors.keys()], ['second', 'first'])
})

test('says the same name twice only across objects', () => {
  const bytes = file({ dtype: f32([1], 0, 4), __metadata__: { dtype: '}{"dtype":', shape: 'x' } }, 4)
  assert.equal([...readSafetensors(bytes).tensors.keys()], ['dtype'])
})

const huge = 2 ** 53 - 1
const hostile: [what: string, bytes: Uint8Array, message: RegExp][] = [
  ['no bytes', new Uint8Array(0), /0 bytes, too few/],
  ['a cut length', new Uint8Array(7), /7 bytes, too few/],
  ['a header of no bytes', file(''), /does not begin with '{'/],
  ['a header longer than the file', file('{}', 0, 3n), /claims 3 bytes, the file has only 2/],
  ['a header longer than the limit', file('{}', 0, 100_000_001n), /claims 100000001 bytes, 100000000 are allowed/],
  ['a header of 2^64 - 1 bytes', file('{}', 0, 2n ** 64n - 1n), /claims 18446744073709551615 bytes/],
  ['a zip file', file('PK\u0003\u0004'), /does not begin with '{'/],
  ['an array', file('[]'), /does not begin with '{'/],
  ['space before the header', file(' {}'), /does not begin with '{'/],
  ['a byte order mark', file('\ufeff{}'), /does not begin with '{'/],
  ['half a header', file('{"a":'), /not JSON/],
  ['text behind the header', file('{}x'), /not JSON/],
  ['bad UTF-8', file('{"?":1}').map((byte) => (byte === 0x3f ? 0xff : byte)), /not JSON/],
  ['a deep header', file(`{"a":${'['.repeat(1e6)}`), /not JSON/],
  ['a name twice', file('{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"a":0}'), /says 'a' twice/],
  [
    'a name twice, escaped',
    file('{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"\\u0061":0}'),
    /says 'a' twice/,
  ],
  [
    'a name twice, spaced',
    file(`{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"a"${' '.repeat(99)}:0}`),
    /says 'a' twice/,
  ],
  ['a dtype twice', file('{"a":{"dtype":"U8","dtype":"I8","shape":[0],"data_offsets":[0,0]}}'), /says 'dtype' twice/],
  ['metadata twice', file('{"__metadata__":{"k":"1","k":"2"}}'), /says 'k' twice/],
  ['metadata in an array', file({ __metadata__: ['a'] }), /__metadata__ is not an object/],
  ['metadata null', file({ __metadata__: null }), /__metadata__ is not an object/],
  ['a number in metadata', file({ __metadata__: { a: 1 } }), /__metadata__ 'a' is not a string/],
  ['a tensor without description', file({ a: null }), /'a' is not described/],
  ['a tensor described by an array', file({ a: ['F32'] }), /'a' is not described/],
  ['no dtype', file({ a: { shape: [], data_offsets: [0, 0] } }), /'a' has dtype undefined/],
  ['an unknown dtype', file({ a: { ...f32([1], 0, 4), dtype: 'F31' } }, 4), /dtype "F31"; understood are F64, F32/],
  ['a dtype of Object', file({ a: { ...f32([1], 0, 4), dtype: 'constructor' } }, 4), /dtype "constructor"/],
  ['no shape', file({ a: { dtype: 'F32', data_offsets: [0, 0] } }), /'a' has shape undefined/],
  ['a shape in words', file({ a: f32('1', 0, 4) }, 4), /'a' has shape "1"/],
  ['a negative size', file({ a: f32([-1, -1], 0, 4) }, 4), /'a' has shape \[-1,-1\]/],
  ['a broken size', file({ a: f32([0.5, 2], 0, 4) }, 4), /'a' has shape \[0.5,2\]/],
  ['a size in words', file({ a: f32(['1'], 0, 4) }, 4), /'a' has shape \["1"\]/],
  ['sizes that overflow', file({ a: f32([huge, huge, huge], 0, 4) }, 4), /'a' is F32 .* but claims 4/],
  ['sizes that wrap 64 bits to 0', file({ a: f32([2 ** 32, 2 ** 32], 0, 0) }), /'a' is F32 .* but claims 0/],
  ['no offsets', file({ a: { dtype: 'F32', shape: [] } }), /'a' has data_offsets undefined/],
  ['one offset', file({ a: { dtype: 'F32', shape: [], data_offsets: [0] } }), /'a' has data_offsets \[0\]/],
  ['three offsets', file({ a: { dtype: 'F32', shape: [], data_offsets: [0, 4, 8] } }, 8), /data_offsets \[0,4,8\]/],
  ['a negative offset', file({ a: f32([2], -4, 4) }, 8), /'a' has data_offsets \[-4,4\]/],
  ['a broken offset', file({ a: f32([1], 0.5, 4.5) }, 8), /'a' has data_offsets/],
  ['an offset past 2^53', file('{"a":{"dtype":"U8","shape":[1],"data_offsets":[1e300,1e301]}}'), /has data_offsets/],
  ['offsets backwards', file({ a: f32([1], 4, 0) }, 4), /claims bytes 4 to 0 of 4/],
  ['offsets past the end', file({ a: f32([2], 0, 8) }, 4), /claims bytes 0 to 8 of 4; is the file cut short/],
  ['a terabyte', file({ a: f32([2 ** 38], 0, 2 ** 40) }, 4), /claims bytes 0 to 1099511627776 of 4/],
  ['too few bytes for the shape', file({ a: f32([2], 0, 4) }, 4), /F32 \[2\], 8 bytes, but claims 4/],
  ['too many bytes for the shape', file({ a: f32([1], 0, 8) }, 8), /F32 \[1\], 4 bytes, but claims 8/],
  ['an overlap', file({ a: f32([2], 0, 8), b: f32([2], 4, 12) }, 12), /'b' begins at byte 4, inside .* ends at 8/],
  ['two tensors in one place', file({ a: f32([1], 0, 4), b: f32([1], 0, 4) }, 4), /'b' begins at byte 0, inside/],
  ['an empty tensor inside another', file({ a: f32([2], 0, 8), b: f32([0], 4, 4) }, 8), /'b' begins at byte 4, inside/],
  ['a hole at the start', file({ a: f32([1], 4, 8) }, 8), /bytes 0 to 4, before 'a', belong to no tensor/],
  ['a hole inside', file({ a: f32([1], 0, 4), b: f32([1], 8, 12) }, 12), /bytes 4 to 8, before 'b', belong to no/],
  ['bytes at the end', file({ a: f32([1], 0, 4) }, 5), /the last 1 bytes of the file belong to no tensor/],
]
for (const [what, bytes, message] of hostile)
  test(`refuses ${what}`, () => {
    assert.throws(
      () => readSafetensors(bytes),
      (error: Error) => message.test(error.message) || assert.match(error.message, message),
    )
  })

test('reads a long header in reasonable time', () => {
  const bytes = file({ __metadata__: { long: '\\"'.repeat(5e6) } })
  assert.is(readSafetensors(bytes).metadata.long.length, 1e7)
})

const broken: [what: string, name: string, tensor: SavedTensor, message: RegExp][] = [
  ['a wrong count', 'a', { dtype: 'F32', shape: [3], data: new Float32Array(2) }, /'a' has 2 elements.*\[3\] 3/],
  [
    'a wrong array',
    'a',
    { dtype: 'F32', shape: [2], data: new Float64Array(2) },
    /'a' is F32, its data a Float64Array/,
  ],
  ['half precision', 'a', { dtype: 'F16', shape: [2], data: new Float32Array(2) }, /'a' is F16, .* make it F32/],
  ['the reserved name', '__metadata__', { dtype: 'U8', shape: [0], data: new Uint8Array(0) }, /can be named/],
]
for (const [what, name, tensor, message] of broken)
  test(`does not write ${what}`, () => {
    assert.throws(() => writeSafetensors([[name, tensor]]), message)
  })

test('does not write two tensors of one name', () => {
  const tensor: SavedTensor = { dtype: 'U8', shape: [0], data: new Uint8Array(0) }
  assert.throws(
    () =>
      writeSafetensors([
        ['a', tensor],
        ['a', tensor],
      ]),
    /two tensors are named 'a'/,
  )
})

test.run()
