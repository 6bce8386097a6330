/** How results are checked: parts of them, drawn at random, against the float64 references of the tests. */
import { scope, type Tensor } from '../engine/index.ts'
import { close, type Nd, nd, type Random, size, type Tolerance } from '../test/reference/nd.ts'

/**
 * A float32 sum of n terms, added in any order, is off by √(n/2)·2^-25 of its root mean square where its terms are
 * independent: each addition rounds by up to 2^-24 of the partial sum, and those roundings add up as a random walk. Eleven
 * times that is allowed.
 */
export const sumOf = (terms: number): Tolerance => ({ rtol: 4 * Math.sqrt(Math.max(terms, 16)) * 2 ** -24 })

/** The elements of what `make` makes. */
export const read = (make: () => Tensor): Promise<Float32Array> => scope(() => make().read())

/** `count` different whole numbers below `below`, the last of them always among them: edges are where kernels err. */
export function some(random: Random, below: number, count: number): number[] {
  const chosen = new Set([below - 1])
  while (chosen.size < Math.min(count, below)) chosen.add(Math.floor(random.next() * below))
  return [...chosen].sort((a, b) => a - b)
}

/**
 * The elements of `values`, a dense array of `shape`, whose index along each axis is in `chosen`, where that is given:
 * part(x, [8, 5, 5, 64], [[7], null, null, [3]]) is channel 3 of image 7, [1, 5, 5, 1].
 */
export function part(values: ArrayLike<number>, shape: readonly number[], chosen: readonly (number[] | null)[]): Nd {
  const axes = shape.map((extent, axis) => chosen[axis] ?? Array.from({ length: extent }, (_, i) => i))
  const out = nd(axes.map(({ length }) => length))
  const strides = shape.map((_, axis) => size(shape.slice(axis + 1)))
  const index = axes.map(() => 0)
  for (let i = 0; i < out.data.length; i++) {
    let at = 0
    for (let axis = 0; axis < axes.length; axis++) at += strides[axis] * axes[axis][index[axis]]
    out.data[i] = values[at]
    for (let axis = axes.length - 1; axis >= 0 && ++index[axis] === axes[axis].length; axis--) index[axis] = 0
  }
  return out
}

export { close }
