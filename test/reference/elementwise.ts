import { map, type Nd, nd, type Reference } from './nd.ts'

/** max(x, 0); the gradient at 0 is 0. NaN stays NaN, and passes its gradient on. As PyTorch's. */
export function relu(x: Nd): Reference {
  const out = map(x, (value) => Math.max(value, 0))
  return { out, backward: (dOut) => ({ x: map(dOut, (d, i) => (out.data[i] <= 0 ? 0 : d)) }) }
}

/** a + b of equal shapes. */
export function add(a: Nd, b: Nd): Reference {
  return { out: map(a, (value, i) => value + b.data[i]), backward: (dOut) => ({ a: dOut, b: dOut }) }
}

/** relu(a + b) of equal shapes. */
export function addRelu(a: Nd, b: Nd): Reference {
  const { out, backward } = relu(add(a, b).out)
  return {
    out,
    backward: (dOut) => {
      const dSum = backward(dOut).x
      return { a: dSum, b: dSum }
    },
  }
}

/** x in another shape of as many elements, row-major. */
export function reshape(x: Nd, shape: readonly number[]): Reference {
  return { out: nd(shape, x.data), backward: (dOut) => ({ x: nd(x.shape, dOut.data) }) }
}

/** factor · x. */
export const scale = (x: Nd, factor: number): Reference => {
  const times = (y: Nd) => map(y, (value) => factor * value)
  return { out: times(x), backward: (dOut) => ({ x: times(dOut) }) }
}
