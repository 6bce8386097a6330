/**
 * What the op tests share: small dense arrays in float64, seeded random data, and an assertion that names the element
 * that is wrong. The references in this folder take and return `Nd`, so that their sums are in float64 throughout.
 */
import * as assert from 'uvu/assert'

/** A dense array, last axis contiguous. A scalar has shape []. */
export interface Nd {
  readonly shape: readonly number[]
  readonly data: Float64Array
}

/** The number of elements of a shape; 1 for a scalar. */
export const size = (shape: readonly number[]): number => shape.reduce((product, extent) => product * extent, 1)

/** An array of the given shape holding a copy of `data` (zeros without it). Throws if the lengths disagree. */
export function nd(shape: readonly number[], data?: ArrayLike<number>): Nd {
  if (data && data.length !== size(shape)) throw new Error(`nd: [${shape}] holds ${size(shape)}, given ${data.length}`)
  return { shape: [...shape], data: data ? Float64Array.from(data) : new Float64Array(size(shape)) }
}

/** `x` with its axes in another order, as NumPy's transpose: NCHW to NHWC is permute(x, [0, 2, 3, 1]). */
export function permute(x: Nd, axes: readonly number[]): Nd {
  const strides = x.shape.map((_, axis) => size(x.shape.slice(axis + 1)))
  const out = nd(axes.map((axis) => x.shape[axis]))
  const index = axes.map(() => 0)
  for (let i = 0; i < out.data.length; i++) {
    out.data[i] = x.data[axes.reduce((at, axis, k) => at + strides[axis] * index[k], 0)]
    for (let k = axes.length - 1; k >= 0 && ++index[k] === out.shape[k]; k--) index[k] = 0
  }
  return out
}

/** `f` of every element, given with its index. */
export const map = (x: Nd, f: (value: number, index: number) => number): Nd => nd(x.shape, x.data.map(f))

/** The sum of a·b over all elements: the loss whose gradient with respect to `a` is `b`. */
export const dot = (a: Nd, b: Nd): number => a.data.reduce((sum, value, i) => sum + value * b.data[i], 0)

/** What a reference computes: the output and, given its gradient, the gradient of each input by name. */
export interface Reference {
  out: Nd
  backward: (dOut: Nd) => Record<string, Nd>
}

/**
 * Seeded random arrays: mulberry32, enough for test data. Every value is an exact float32, so that a kernel and its
 * reference start from the same numbers.
 */
export class Random {
  #state: number

  constructor(seed: number) {
    this.#state = seed >>> 0
  }

  /** A float64 uniform in [0, 1). */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0
    let t = this.#state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }

  uniform(shape: readonly number[], low = -1, high = 1): Nd {
    return map(nd(shape), () => Math.fround(low + (high - low) * this.next()))
  }

  /** Normal with mean 0 and variance 1, by Box and Muller. */
  normal(shape: readonly number[]): Nd {
    const draw = () => Math.sqrt(-2 * Math.log(1 - this.next())) * Math.cos(2 * Math.PI * this.next())
    return map(nd(shape), () => Math.fround(draw()))
  }

  /** Whole numbers in [0, below). */
  integers(shape: readonly number[], below: number): Nd {
    return map(nd(shape), () => Math.floor(this.next() * below))
  }
}

export interface Tolerance {
  /** Allowed error relative to the expected element. */
  rtol: number
  /**
   * Allowed error whatever the element: for sums that cancel, which are as inexact as those that do not. Where it is
   * left out, rtol times the root mean square of the finite expected elements.
   */
  atol?: number
  /** Whether a NaN may stand for an infinity. */
  lax?: boolean
}

/** Numbers smaller than this may be taken as 0 (WGSL, "Floating Point Evaluation"). */
const SMALLEST_NORMAL = 2 ** -126

/**
 * Asserts |actual − expected| ≤ atol + rtol·|expected| for every element; NaN and infinities must agree exactly.
 * The message gives how many elements are wrong, the first of them and the worst, each with its index.
 */
export function close(actual: ArrayLike<number> | Nd, expected: Nd, tolerance: Tolerance, name = 'result'): void {
  const values = 'data' in actual ? actual.data : actual
  if ('data' in actual) assert.equal([...actual.shape], [...expected.shape], `${name}: shapes differ`)
  assert.is(
    values.length,
    expected.data.length,
    `${name}: ${values.length} elements for a shape of [${expected.shape}]`,
  )
  const { rtol, lax, atol = SMALLEST_NORMAL + rtol * rootMeanSquare(expected) } = tolerance
  let wrong = 0
  let first = -1
  let worst = -1
  let worstExcess = 0
  for (let i = 0; i < values.length; i++) {
    const [a, e] = [values[i], expected.data[i]]
    if (Object.is(a, e) || a === e || (lax && Number.isNaN(a) && Math.abs(e) === Infinity)) continue
    const finite = Number.isFinite(a) && Number.isFinite(e)
    const excess = finite ? Math.abs(a - e) / (atol + rtol * Math.abs(e)) : Infinity
    if (excess <= 1) continue
    if (wrong++ === 0) first = i
    if (excess > worstExcess) [worst, worstExcess] = [i, excess]
  }
  const describe = (i: number) => `[${unravel(i, expected.shape)}] is ${values[i]}, expected ${expected.data[i]}`
  if (wrong > 0) {
    const allowed = `allowed ${atol.toPrecision(3)} + ${rtol.toPrecision(3)} × |expected|`
    const message = `${name}: ${wrong} of ${values.length} elements differ: first ${describe(first)}; worst ${describe(worst)}`
    assert.unreachable(`${message} (${allowed})`)
  }
}

function rootMeanSquare(x: Nd): number {
  const finite = x.data.filter(Number.isFinite)
  return Math.sqrt(finite.reduce((sum, value) => sum + value * value, 0) / Math.max(1, finite.length))
}

/** The indices along each axis of the element at flat index `i`. */
function unravel(i: number, shape: readonly number[]): number[] {
  return shape.map((extent, axis) => Math.floor(i / size(shape.slice(axis + 1))) % extent)
}
