import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { compare, describe, signFlipTest } from '../../../imagenet/experiment/statistics.ts'

const test = suite('experiment: statistics')

const near = (actual: number, expected: number, message?: string) =>
  assert.ok(
    Math.abs(actual - expected) < 1e-9 * Math.max(1, Math.abs(expected)),
    message ?? `${actual}, not ${expected}`,
  )

test('mean, standard deviation and interval', () => {
  const { n, mean, sd, interval } = describe([1, 2, 3, 4])
  assert.is(n, 4)
  near(mean, 2.5)
  near(sd!, Math.sqrt(5 / 3))
  // The 97.5 % point of Student's t with 3 degrees of freedom, from published tables.
  const half = (3.182446305284263 * Math.sqrt(5 / 3)) / 2
  near(interval![0], 2.5 - half)
  near(interval![1], 2.5 + half)
})

test('one value has no spread and no interval; none is refused', () => {
  assert.equal(describe([7]), { n: 1, mean: 7, sd: null, interval: null })
  assert.throws(() => describe([]), RangeError)
})

test('the sign-flip test counts the patterns that lie as far out', () => {
  // All differences of one sign: only that pattern and its mirror.
  assert.is(signFlipTest([1, 2, 3]), 2 / 8)
  assert.is(signFlipTest([1, 2, 3, 4, 5]), 2 / 32)
  assert.is(signFlipTest([5]), 1)
  // Sums of ±3 ±2 ±1 at least |3 - 2 + 1| = 2 away from 0: ±6, ±4, and ±2 twice.
  assert.is(signFlipTest([3, -2, 1]), 6 / 8 + 0)
  assert.is(signFlipTest([0, 0]), 1)
  assert.throws(() => signFlipTest([]), RangeError)
})

test('equal means count however they round', () => {
  // 0.1 + 0.2 is not 0.3 in binary; the eight sums are 0 or ±0.6 but for rounding.
  assert.is(signFlipTest([0.1, 0.2, -0.3]), 1)
  assert.is(signFlipTest([0.1, 0.2, 0.3]), 2 / 8)
})

test('as a permutation test it agrees with brute force', () => {
  const differences = [0.7, -1.3, 2.1, 0.4, 1.9, -0.2, 1.1]
  const observed = Math.abs(differences.reduce((a, b) => a + b))
  const sums = differences.reduce((sums, d) => sums.flatMap((sum) => [sum + d, sum - d]), [0])
  near(signFlipTest(differences)!, sums.filter((sum) => Math.abs(sum) >= observed - 1e-12).length / sums.length)
})

test('beyond 20 pairs nothing is enumerated', () => {
  assert.is(signFlipTest(Array(20).fill(1)), 2 / 2 ** 20)
  assert.is(signFlipTest(Array(21).fill(1)), null)
})

test('comparisons pair by seed', () => {
  const a = new Map([
    [0, 10],
    [1, 12],
    [3, 9],
  ])
  const b = new Map([
    [1, 9],
    [0, 8],
    [2, 0],
  ])
  const compared = compare(a, b)!
  assert.equal(compared.differences, [
    { seed: 0, difference: 2 },
    { seed: 1, difference: 3 },
  ])
  near(compared.mean, 2.5)
  assert.is(compared.pValue, 0.5)
  assert.is(compare(a, new Map([[7, 1]])), null)
})

test.run()
