import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { ByteReader } from '../../../../imagenet/weights/formats/byte_reader.ts'
import { Constructor, type PickleRules, unpickle } from '../../../../imagenet/weights/formats/unpickle.ts'
import { bytesSource } from '../../../../nn/formats/source.ts'
import { FormatError } from '../../../../nn/index.ts'
import { bytes, int, text, tuple, u32 } from './files.ts'

const test = suite('unpickle')

const RULES: PickleRules = {
  global: (name) => (name === 'a.pair' ? new Constructor(name, ([x, y]) => ({ x, y })) : undefined),
  persistent: (id) => `kept ${id}`,
}

const readerOf = (pickle: Uint8Array) => new ByteReader(bytesSource(pickle), 0, pickle.length)
const read = (...parts: (string | number | Uint8Array)[]) => unpickle(readerOf(bytes(...parts)), RULES)

const VALUES: [what: string, pickle: Uint8Array, value: unknown][] = [
  ['None and bools', bytes('(N', 0x88, 0x89, 't.'), [null, true, false]],
  ['small integers', bytes('(K', 255, 'M', 0xff, 0xff, 't.'), [255, 65535]],
  ['signed integers', bytes(int(-2), '.'), -2],
  ['an empty long', bytes(0x8a, 0, '.'), 0],
  ['a negative long', bytes(0x8a, 2, 0xff, 0x7f, '.'), 0x7fff],
  ['a long of 4 bytes of length', bytes(0x8b, u32(1), 0xff, '.'), -1],
  ['a long past 2^53', bytes(0x8a, 8, 0, 0, 0, 0, 0, 0, 0, 1, '.'), 2n ** 56n],
  ['a float', bytes('G', 0x3f, 0xf8, 0, 0, 0, 0, 0, 0, '.'), 1.5],
  ['strings', bytes('(', text('grüße'), 0x8c, 1, 'a', 'U', 1, 0xe9, 'T', u32(1), 'b', 't.'), ['grüße', 'a', 'é', 'b']],
  ['tuples', bytes(')NN', 0x87, '.'), [[], null, null]],
  ['nested tuples', bytes('N', 0x85, 'N', 0x86, '.'), [[null], null]],
  ['lists', bytes('](K', 1, 'K', 2, 'eNa.'), [1, 2, null]],
  [
    'dicts',
    bytes('}(K', 1, 'N', text('a'), 0x88, 'u', text('b'), 0x89, 's.'),
    new Map<unknown, unknown>([
      [1, null],
      ['a', true],
      ['b', false],
    ]),
  ],
  ['the memo', bytes(text('a'), 'q', 7, 'h', 7, 0x86, '.'), ['a', 'a']],
  [
    'the memo of protocol 4',
    bytes(0x80, 4, 0x95, u32(0), u32(0), text('a'), 0x94, 'h', 0, 'j', u32(0), 0x87, '.'),
    ['a', 'a', 'a'],
  ],
  ['persistent ids', bytes(text('7'), 'Q.'), 'kept 7'],
  ['a constructor', bytes('ca\npair\n(K', 1, 'K', 2, 'tR.'), { x: 1, y: 2 }],
  ['a constructor of protocol 4', bytes(text('a'), text('pair'), 0x93, 'K', 1, 'K', 2, 0x86, 'R.'), { x: 1, y: 2 }],
]
for (const [what, pickle, value] of VALUES)
  test(`reads ${what}`, () => {
    assert.equal(read(pickle), value)
  })

test('leaves the reader behind the pickle', () => {
  const reader = readerOf(bytes('K', 1, '.', 'K', 2, '.'))
  assert.equal([unpickle(reader, RULES), unpickle(reader, RULES)], [1, 2])
})

test('a key that names a prototype is a key', () => {
  const dict = read('}', text('__proto__'), '}', text('polluted'), 'K', 1, 'ss.') as Map<string, unknown>
  assert.equal([...dict.keys()], ['__proto__'])
  assert.is(({} as Record<string, unknown>).polluted, undefined)
})

test('values that hold themselves and values that double end as they are', () => {
  const list = read(']q', 0, 'h', 0, 'a.') as unknown[]
  assert.is(list[0], list)
  // A thousand lists, each of the one before twice: 2^1000 elements for who would walk through them.
  const doubled: Uint8Array[] = [bytes('N')]
  for (let i = 0; i < 1000; i++) doubled.push(bytes('r', u32(i), '](', 'j', u32(i), 'j', u32(i), 'e'))
  assert.is((read(...doubled, '.') as unknown[]).length, 2)
})

const MANY = 2 ** 18 + 1
const REFUSED: [what: string, pickle: Uint8Array, message: RegExp][] = [
  ['an unknown constructor', bytes('cos\nsystem\n', tuple(text('true')), 'R.'), /names os\.system, which is not among/],
  ['one with a name that would change a terminal', bytes('ca\n\x1b[31m\n.'), /names a\.\?\[31m/],
  ["an object's own property", bytes('ca\n__proto__\n.'), /names a\.__proto__/],
  ['a call of what is no constructor', bytes('})R.'), /calls what is no constructor/],
  ['a call without a tuple', bytes('ca\npair\nNR.'), /calls a\.pair without a tuple/],
  ['a state for what is no dict', bytes('ca\npair\n)R}b.'), /state of what is no OrderedDict/],
  ['a state for a list', bytes(']}b.'), /state of what is no OrderedDict/],
  ['INST', bytes('(ios\nsystem\n.'), /opcode 0x69 at byte 1/],
  ['NEWOBJ', bytes('ca\npair\n)', 0x81, '.'), /opcode 0x81/],
  ['an extension', bytes(0x82, 1, '.'), /opcode 0x82/],
  ['an empty stack', bytes('.'), /empty stack/],
  ['a mark for a value', bytes('(.'), /a mark for a value/],
  ['a missing mark', bytes('Nt.'), /mark that is not there/],
  ['an append to no list', bytes('}Na.'), /appends to what is no list/],
  ['an item of no dict', bytes(']NNs.'), /item of what is no dict/],
  ['a key without value', bytes('}(Nu.'), /key without a value/],
  ['a dict as a key', bytes('}}Ns.'), /key is no string and no number/],
  ['an unknown memo', bytes('h', 3, '.'), /recalls value 3/],
  ['a later protocol', bytes(0x80, 6, 'N.'), /protocol 6; up to 5/],
  ['a string that is not UTF-8', bytes('X', u32(1), 0xff, '.'), /not UTF-8/],
  ['a string of negative length', bytes('T', u32(-5), '.'), /string of 4294967291 bytes/],
  ['a string of 2^60 bytes', bytes(0x8d, u32(0), u32(2 ** 28), '.'), /string of 1152921504606847000 bytes/],
  ['a string past the end', bytes('X', u32(9), 'abc.'), /9 bytes are wanted at byte 5, where it ends at 9/],
  ['an integer of a gigabyte', bytes(0x8b, u32(2 ** 30), '.'), /integer of 1073741824 bytes/],
  ['an endless name', bytes('c', 'a'.repeat(1000)), /line is longer than 256 bytes/],
  ['no end', bytes('N'), /cut short/],
  ['no bytes', bytes(), /cut short/],
  ['too many objects', bytes(']'.repeat(MANY), '.'), /more than 262144 objects/],
  ['too many bytes', bytes('N'.repeat(2 ** 22 + 1), '.'), /longer than 4194304 bytes/],
]
for (const [what, pickle, message] of REFUSED)
  test(`refuses ${what}`, () => {
    assert.throws(
      () => read(pickle),
      (error: Error) =>
        error instanceof FormatError && (message.test(error.message) || assert.match(error.message, message)),
    )
  })

test.run()
