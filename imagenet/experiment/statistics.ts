/** What a few seeds allow to be said: means, intervals, and an exact test of a difference. */
import jstat from 'jstat'

export interface Described {
  n: number
  mean: number
  /** Sample standard deviation (n − 1); null for one value. */
  sd: number | null
  /** Of the mean, 95 %, by Student's t with n − 1 degrees of freedom; null for one value. */
  interval: [low: number, high: number] | null
}

const CONFIDENCE = 0.95

/** @throws RangeError when there are no values */
export function describe(values: readonly number[]): Described {
  const n = values.length
  if (n === 0) throw new RangeError('describe wants at least one value')
  const mean = values.reduce((sum, value) => sum + value, 0) / n
  if (n === 1) return { n, mean, sd: null, interval: null }
  const sd = Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (n - 1))
  const half = (jstat.studentt.inv((1 + CONFIDENCE) / 2, n - 1) * sd) / Math.sqrt(n)
  return { n, mean, sd, interval: [mean - half, mean + half] }
}

/** Beyond this many pairs the 2^n sign patterns are not enumerated. */
export const MOST_PAIRS = 20

/**
 * Two-sided p-value of the mean of paired differences under the hypothesis that each is as likely to have the other sign
 * (Fisher's randomisation test): the share of all 2^n sign patterns whose mean is at least as far from 0. Exact; with
 * n pairs it can be no smaller than 2 / 2^n. Null beyond `MOST_PAIRS`.
 * @throws RangeError when there are no differences
 */
export function signFlipTest(differences: readonly number[]): number | null {
  const n = differences.length
  if (n === 0) throw new RangeError('signFlipTest wants at least one difference')
  if (n > MOST_PAIRS) return null
  // Sums that differ by rounding alone count as equal: each is rounded n times, by 2^-53 of the largest sum at most.
  const largest = differences.reduce((sum, value) => sum + Math.abs(value), 0)
  const observed = Math.abs(differences.reduce((sum, value) => sum + value, 0)) - 2 * n * 2 ** -53 * largest
  let asFar = 0
  for (let pattern = 0; pattern < 2 ** n; pattern++) {
    let sum = 0
    for (let i = 0; i < n; i++) sum += (pattern >>> i) & 1 ? -differences[i] : differences[i]
    if (Math.abs(sum) >= observed) asFar++
  }
  return asFar / 2 ** n
}

export interface Compared extends Described {
  /** Of `signFlipTest`. */
  pValue: number | null
  /** a − b of each seed that both have. */
  differences: { seed: number; difference: number }[]
}

/** a − b, paired by seed; null where they share none. */
export function compare(a: ReadonlyMap<number, number>, b: ReadonlyMap<number, number>): Compared | null {
  const differences = [...a]
    .filter(([seed]) => b.has(seed))
    .map(([seed, value]) => ({ seed, difference: value - b.get(seed)! }))
  if (differences.length === 0) return null
  const values = differences.map(({ difference }) => difference)
  return { ...describe(values), pValue: signFlipTest(values), differences }
}
