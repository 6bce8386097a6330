import { existsSync, readFileSync } from 'node:fs'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { UsageError } from '../../../../imagenet/errors.ts'
import { openWeights } from '../../../../imagenet/weights/formats/weights.ts'
import { type FileTensor, readSafetensors } from '../../../../nn/index.ts'
import {
  archive,
  bytes,
  FOUR_FLOATS,
  fileOf,
  int,
  pth,
  removeFiles,
  state,
  storage,
  tensor,
  text,
  tuple,
} from './files.ts'

const test = suite('pth')
test.after(removeFiles)

const FIXTURES = 'test/fixtures/pth'
const ODD = readSafetensors(readFileSync(`${FIXTURES}/odd.safetensors`)).tensors
const SMALL = readSafetensors(readFileSync('test/fixtures/small.safetensors')).tensors

/** Everything of a file's tensors, to the bit. */
const contentsOf = (tensors: ReadonlyMap<string, FileTensor>) =>
  [...tensors].map(([name, tensor]) => [name, tensor.dtype, tensor.shape, Buffer.from(tensor.bytes()).toString('hex')])

async function read(file: string) {
  const weights = await openWeights(file)
  const contents = contentsOf(weights.tensors)
  weights.close()
  return contents
}

for (const name of ['odd', 'odd_legacy', 'odd_protocol4'])
  test(`reads every dtype and every kind of view as PyTorch does: ${name}`, async () => {
    assert.equal(await read(`${FIXTURES}/${name}.pth`), contentsOf(ODD))
  })

for (const name of ['small', 'small_legacy'])
  test(`reads a state dict of torch.save: ${name}`, async () => {
    const weights = await openWeights(`${FIXTURES}/${name}.pth`)
    assert.is(weights.format, 'pth')
    assert.equal([...weights.tensors.keys()], [...SMALL.keys()])
    // The safetensors file has the halves as floats.
    for (const [name, { data }] of weights.tensors) assert.equal(data, SMALL.get(name)!.data, name)
    weights.close()
  })

test('hostile.pth runs nothing, and is told apart by what it names', async () => {
  await refused(`${FIXTURES}/hostile.pth`, /hostile\.pth: the pickle names posix\.system, .* nothing of it was run/)
  assert.not.ok(existsSync('/tmp/kakuritsu-was-owned'))
})

test('reads archives of zip64, and the records that torch 2 adds', async () => {
  const records: [string, Uint8Array][] = [
    ['a/data.pkl', state(tensor())],
    ['a/.format_version', bytes('1')],
    ['a/.storage_alignment', bytes('64')],
    ['a/byteorder', bytes('little')],
    ['a/data/0', FOUR_FLOATS],
    ['a/version', bytes('3\n')],
    ['a/.data/serialization_id', bytes('0'.repeat(40))],
  ]
  for (const zip64 of [false, true]) {
    const { tensors } = await openWeights(fileOf(await archive(records, { zip64 })))
    assert.equal(tensors.get('w')!.data, Float32Array.of(1, 2, 3, 4))
  }
})

test('reads the dtypes of torch 2.3, whose storages have none', async () => {
  const untyped = storage('torch.storage\nUntypedStorage', '0', int(16))
  const parts = { storage: untyped, offset: int(2), rebuild: '_rebuild_tensor_v3' }
  for (const [name, dtype, expected] of [
    ['uint16', 'U16', new Uint16Array(FOUR_FLOATS.buffer, 4, 4)],
    ['uint32', 'U32', null],
    ['float8_e4m3fn', 'F8_E4M3', Float32Array.of(-0, 1.875, 0, 0)],
  ] as const) {
    const file = fileOf(await pth(state(tensor({ ...parts, more: [bytes(`ctorch\n${name}\n`)] }))))
    if (!expected) {
      await refused(file, /\[2, 2\] from element 2 on, past its 4 elements/)
      continue
    }
    const { tensors } = await openWeights(file)
    assert.is(tensors.get('w')!.dtype, dtype)
    assert.equal(tensors.get('w')!.data, expected)
  }
})

test('reads what torch 0.4 wrote: tensors without gradients, parameters', async () => {
  const old = bytes(
    'ctorch._utils\n_rebuild_tensor\n',
    tuple(storage('torch.cuda\nFloatStorage'), int(1), tuple(int(2)), tuple(int(2))),
    'R',
  )
  const parameter = bytes('ctorch._utils\n_rebuild_parameter\n', tuple(old, bytes(0x88), bytes('N')), 'R')
  const { tensors } = await openWeights(fileOf(await pth(state(parameter))))
  assert.equal(tensors.get('w')!.data, Float32Array.of(2, 4))
})

test('finds a state dict bare, under state_dict and under model; takes DataParallel’s prefix off', async () => {
  const dict = (name: string) => bytes('}', text(name), tensor(), 's')
  for (const [root, name] of [
    [dict('fc.weight'), 'fc.weight'],
    [dict('module.fc.weight'), 'fc.weight'],
    [bytes('}', text('epoch'), int(3), 's', text('state_dict'), dict('module.w'), 's'), 'w'],
    [bytes('}', text('model'), dict('w'), 's'), 'w'],
  ] as const) {
    const { tensors } = await openWeights(fileOf(await pth(bytes(root, '.'))))
    assert.equal([...tensors.keys()], [name])
  }
})

test('names a file that is not there, and a folder', async () => {
  await refused('test/fixtures/none.pth', /there is no file test\/fixtures\/none\.pth/)
  await refused('test/fixtures', /test\/fixtures is no file/)
})

async function refused(file: string, message: RegExp): Promise<void> {
  try {
    await read(file)
  } catch (error) {
    assert.instance(error, UsageError)
    assert.match((error as Error).message, message)
    return
  }
  assert.unreachable('it was read')
}

const huge = bytes(0x8a, 7, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x1f) // 2^53 - 1
const LYING_TENSORS: [what: string, pickle: Uint8Array, message: RegExp][] = [
  ['an offset past the storage', state(tensor({ offset: int(1) })), /\[2, 2\] from element 1 on, past its 4 elements/],
  ['strides past the storage', state(tensor({ strides: tuple(int(3), int(1)) })), /past its 4 elements/],
  ['a negative stride', state(tensor({ strides: tuple(int(-2), int(1)) })), /shape or strides are no sizes/],
  ['a negative offset', state(tensor({ offset: int(-1) })), /shape, strides and offset disagree/],
  ['a shape past 2^53', state(tensor({ shape: tuple(huge, huge) })), /past its 4 elements/],
  ['a shape of no numbers', state(tensor({ shape: text('22') })), /shape or strides are no sizes/],
  ['fewer strides than axes', state(tensor({ strides: tuple(int(1)) })), /shape, strides and offset disagree/],
  [
    'too many axes',
    state(tensor({ shape: tuple(...Array(65).fill(int(1))), strides: tuple(...Array(65).fill(int(1))) })),
    /are no sizes/,
  ],
  [
    'one element expanded to 2^62',
    state(tensor({ shape: tuple(int(2 ** 31 - 1), int(2 ** 31 - 1)), strides: tuple(int(0), int(0)) })),
    /elements, out of 4/,
  ],
  [
    'a storage of other size',
    state(tensor({ storage: storage(undefined, undefined, int(5)) })),
    /'0' has 16 bytes, its pickle says 20/,
  ],
  ['a storage of 2^53 elements', state(tensor({ storage: storage(undefined, undefined, huge) })), /'0' has 16 bytes/],
  ['a storage that is not there', state(tensor({ storage: storage(undefined, '1') })), /no record a\/data\/1/],
  [
    'a storage outside its folder',
    state(tensor({ storage: storage(undefined, '../version') })),
    /no record a\/data\/\.\.\/version/,
  ],
  [
    'a storage of an unknown dtype',
    state(tensor({ storage: storage('torch\nQInt8Storage') })),
    /names torch\.QInt8Storage/,
  ],
  [
    'one storage of two dtypes',
    bytes('}', text('v'), tensor(), 's', text('w'), tensor({ storage: storage('torch\nIntStorage') }), 's.'),
    /'0' in two ways/,
  ],
  ['a tensor of no storage', state(tensor({ storage: int(0) })), /tensor of what is no storage/],
  ['a parameter of no tensor', state(bytes('ctorch._utils\n_rebuild_parameter\n', tuple(int(0)), 'R')), /no tensor/],
  [
    'elements to be negated',
    state(tensor({ more: [bytes('}', text('neg'), 0x88, 's')] })),
    /negated or conjugated lazily/,
  ],
  [
    'an untyped tensor',
    state(tensor({ storage: storage('torch.storage\nUntypedStorage', '0', int(16)) })),
    /tensor of no dtype/,
  ],
  [
    'a whole module',
    bytes(tuple(text('module'), bytes('N'), bytes('N'), bytes('N')), 'Q.'),
    /save its state_dict\(\) instead/,
  ],
  ['a reference to something else', bytes(tuple(text('file')), 'Q.'), /no storage/],
  ['no dict', bytes(tensor(), '.'), /no dict/],
  ['no tensors', bytes('}', text('epoch'), int(1), 's.'), /it has no state dict/],
  [
    'a state dict with more than tensors',
    bytes('}', text('state_dict'), state(int(1)).subarray(2, -1), 's.'),
    /entry 'w' is no tensor/,
  ],
]
for (const [what, pickle, message] of LYING_TENSORS)
  test(`refuses ${what}`, async () => {
    await refused(fileOf(await pth(pickle)), message)
  })

const good = state(tensor())
const LYING_ARCHIVES: [what: string, file: () => Promise<Uint8Array> | Uint8Array, message: RegExp][] = [
  ['an archive of something else', () => archive([['word/document.xml', bytes('<>')]]), /without data\.pkl/],
  [
    'a TorchScript program',
    () =>
      archive([
        ['a/data.pkl', good],
        ['a/constants.pkl', bytes('.')],
      ]),
    /TorchScript program/,
  ],
  [
    'big-endian numbers',
    () =>
      archive([
        ['a/data.pkl', good],
        ['a/byteorder', bytes('big')],
      ]),
    /big-endian/,
  ],
  [
    'compressed records',
    () =>
      archive(
        [
          ['a/data.pkl', good],
          ['a/data/0', new Uint8Array(2 ** 20)],
        ],
        { compress: true },
      ),
    /record 'a\/data\.pkl' is compressed/,
  ],
  [
    'two records of one name',
    () =>
      archive([
        ['a/data.pkl', good],
        ['a/data.pkl', good],
      ]),
    /two records are named 'a\/data\.pkl'/,
  ],
  ['an archive without its directory', async () => (await pth(good)).subarray(0, 200), /broken or cut short/],
  ['a directory that points past the end', overlapping((file) => file.length), /broken or cut short/],
  ['records that share bytes', overlapping(() => 0), /overlaps another/],
  [
    'neither kind of file',
    () => bytes('<!DOCTYPE html><html></html>'),
    /neither a safetensors file nor one that torch\.save wrote/,
  ],
  ['no bytes', () => new Uint8Array(0), /neither/],
]
for (const [what, file, message] of LYING_ARCHIVES)
  test(`refuses ${what}`, async () => {
    await refused(fileOf(await file()), message)
  })

/** An archive whose second record is said to begin where `place` says. */
function overlapping(place: (file: Uint8Array) => number): () => Promise<Uint8Array> {
  return async () => {
    const file = await pth(good)
    const view = new DataView(file.buffer, file.byteOffset)
    const directory = view.getUint32(file.length - 6, true)
    const second = directory + 46 + view.getUint16(directory + 28, true) + view.getUint16(directory + 30, true)
    view.setUint32(second + 42, place(file), true)
    return file
  }
}

const LEGACY = readFileSync(`${FIXTURES}/small_legacy.pth`)
const LYING_LEGACY: [what: string, file: () => Uint8Array, message: RegExp][] = [
  ['a file cut within the last storage', () => LEGACY.subarray(0, -1), /before storage '\d+' does; cut short\?/],
  ['another protocol', () => replaced(LEGACY, bytes('M', 0xe9, 3), bytes('M', 0xea, 3)), /protocol 1002; .* 1001/],
  [
    'a big-endian machine',
    () => replaced(LEGACY, bytes('little_endianq', 2, 0x88), bytes('little_endianq', 2, 0x89)),
    /big-endian/,
  ],
  [
    'a count that its pickle does not say',
    () => withCount(LEGACY, 2 ** 31 - 1),
    /has 2147483647 elements, its pickle says/,
  ],
]
for (const [what, file, message] of LYING_LEGACY)
  test(`refuses, in the format before torch 1.6, ${what}`, async () => {
    await refused(fileOf(file()), message)
  })

function replaced(file: Buffer, from: Uint8Array, to: Uint8Array): Uint8Array {
  const at = file.indexOf(from)
  assert.ok(at >= 0 && from.length === to.length)
  const copy = new Uint8Array(file)
  copy.set(to, at)
  return copy
}

/** Says the last storage has so many elements: its 5 halves and their number end the file. */
function withCount(file: Buffer, count: number): Uint8Array {
  const copy = new Uint8Array(file)
  const { length } = copy
  const view = new DataView(copy.buffer)
  for (let at = length - 9; at > length - 40000; at--)
    if (view.getBigUint64(at, true) * 4n === BigInt(length - at - 8)) {
      view.setBigUint64(at, BigInt(count), true)
      return copy
    }
  return assert.unreachable() as never
}

test.run()
