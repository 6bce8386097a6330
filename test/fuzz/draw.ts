/** Cases for the kernels, drawn by fast-check: sizes at which kernels go wrong, and numbers that no sum survives. */
import * as fc from 'fast-check'
import { map, type Nd, Random } from '../reference/nd.ts'

/** What decides a case's numbers. */
export interface Numbers {
  seed: number
  /** Whether NaN, infinities and -0 are among the numbers. */
  spiked: boolean
}

export const numbers = { seed: fc.nat({ max: 999 }), spiked: fc.boolean() }

/** Sizes of tiles and of workgroups, in elements, quads and rows. */
const TILES = [4, 8, 16, 32, 64, 128]
const EDGES = TILES.flatMap((tile) => [tile - 1, tile, tile + 1])
const PRIMES = [2, 3, 5, 7, 11, 13, 29, 61, 97, 113]

/** A size of an axis, `most` at most: none, one, at the edge of a tile, a prime, anything. */
export const extent = (most: number, least = 0): fc.Arbitrary<number> => {
  const within = (sizes: readonly number[]) => fc.constantFrom(...sizes.filter((n) => n >= least && n <= most))
  return fc.oneof(
    { weight: 1, arbitrary: within([0, 1]) },
    { weight: 3, arbitrary: within([1, ...EDGES]) },
    { weight: 2, arbitrary: within([1, ...PRIMES]) },
    { weight: 2, arbitrary: fc.integer({ min: least, max: most }) },
  )
}

/** As `extent`; now and then more than a device takes workgroups along one axis. */
export const rowCount = (most: number): fc.Arbitrary<number> =>
  fc.oneof({ weight: 12, arbitrary: extent(most) }, { weight: 1, arbitrary: fc.constantFrom(65_535, 65_537, 131_071) })

/** Several draws of one case differ by `nth`. */
export const randomOf = ({ seed }: Numbers, nth = 0): Random => new Random(seed + 1000 * (nth + 1))

const SPIKES = [NaN, Infinity, -Infinity, -0]

/** Normal numbers; where the case is spiked, one in 50 of them, and at least one, is no ordinary number. */
export function values(shape: readonly number[], numbers: Numbers, nth = 0): Nd {
  const random = randomOf(numbers, nth)
  const drawn = random.normal(shape)
  if (!numbers.spiked) return drawn
  const first = Math.floor(random.next() * drawn.data.length)
  return map(drawn, (value, i) =>
    i === first || random.next() < 0.02 ? SPIKES[Math.floor(random.next() * SPIKES.length)] : value,
  )
}

/** Normal numbers, whatever the case. */
export const finite = (shape: readonly number[], numbers: Numbers, nth = 0): Nd => randomOf(numbers, nth).normal(shape)

/** Numbers in [0.5, …). */
export const positive = (shape: readonly number[], numbers: Numbers, nth = 0): Nd =>
  map(finite(shape, numbers, nth), (value) => Math.fround(0.5 + Math.abs(value)))
