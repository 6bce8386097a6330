/** Damaged files, drawn by fast-check. */
import * as fc from 'fast-check'

/** What a bad disk, or somebody with an editor, does to a file. */
export type Damage = (file: Uint8Array) => Uint8Array

const place = fc.nat({ max: 2 ** 30 })
const setByte = fc.tuple(place, fc.nat({ max: 255 })).map(
  ([at, byte]): Damage =>
    (file) => {
      file[at % file.length] = byte
      return file
    },
)
const flipBit = fc.tuple(place, fc.nat({ max: 7 })).map(
  ([at, bit]): Damage =>
    (file) => {
      file[at % file.length] ^= 1 << bit
      return file
    },
)
const setWord = fc.tuple(place, fc.constantFrom(0, 1, 0x7fffffff, 0x80000000, 0xffffffff)).map(
  ([at, word]): Damage =>
    (file) => {
      if (file.length >= 4) new DataView(file.buffer).setUint32(at % (file.length - 3), word, true)
      return file
    },
)
const cut = fc.tuple(place, fc.nat({ max: 64 })).map(
  ([at, count]): Damage =>
    (file) => {
      const begin = at % file.length
      return new Uint8Array([...file.subarray(0, begin), ...file.subarray(begin + count)])
    },
)
const repeat = fc.tuple(place, fc.integer({ min: 1, max: 64 })).map(
  ([at, count]): Damage =>
    (file) => {
      const begin = at % file.length
      return new Uint8Array([...file.subarray(0, begin + count), ...file.subarray(begin)])
    },
)
/** Some of it. */
const damages = fc.array(fc.oneof(setByte, flipBit, setWord, cut, repeat), { minLength: 1, maxLength: 5 })

/** A file with a few bytes changed, cut out and repeated. */
export const damaged = (file: Uint8Array): fc.Arbitrary<Uint8Array> =>
  damages.map((some) => {
    let result: Uint8Array = new Uint8Array(file)
    for (const damage of some) if (result.length > 0) result = damage(result)
    return result
  })

/** Where something lies in a JSON value: the keys that lead to it. */
type Path = readonly string[]

const pathsIn = (value: unknown): Path[] =>
  typeof value === 'object' && value !== null
    ? [[], ...Object.entries(value).flatMap(([key, inner]) => pathsIn(inner).map((path) => [key, ...path]))]
    : [[]]

/** What a careless or hostile hand puts in a place. */
const intruders = fc.oneof(
  fc.constantFrom<unknown>(null, -1, 0.5, 1e308, 2 ** 53, '', '../../outside', '/tmp/outside', true, [], {}),
  fc.constantFrom<unknown>([null], { __proto__: null }, 'x'.repeat(5000), '\u001b[2J', 'NaN'),
  fc.jsonValue(),
)

type Container = Record<string, unknown>

/** A JSON value with something else in one of its places, or nothing there. */
export const disturbed = (value: object): fc.Arbitrary<unknown> =>
  fc.tuple(fc.constantFrom(...pathsIn(value)), fc.option(intruders, { nil: undefined })).map(([path, intruder]) => {
    const copy = structuredClone(value) as Container
    const last = path.at(-1)
    if (last === undefined) return intruder ?? null
    const holder = path.slice(0, -1).reduce((inner, key) => inner[key] as Container, copy)
    if (intruder === undefined) delete holder[last]
    else holder[last] = intruder
    return copy
  })
