/** Products of matrices as the definition reads, in float64: what torch.matmul and torch.nn.functional.linear compute. */
import { map, type Nd, nd, permute, type Reference } from './nd.ts'

/** a · b. a: [M, K], b: [K, N] → [M, N]. */
export function product(a: Nd, b: Nd): Nd {
  const [rows, depth] = a.shape
  const columns = b.shape[1]
  const out = nd([rows, columns])
  for (let m = 0; m < rows; m++)
    for (let k = 0; k < depth; k++)
      for (let n = 0; n < columns; n++) out.data[m * columns + n] += a.data[m * depth + k] * b.data[k * columns + n]
  return out
}

export const transpose = (x: Nd): Nd => permute(x, [1, 0])

/** op(a) · op(b), where op transposes if told. Gradients `a` and `b`. */
export function matmul(a: Nd, b: Nd, { transposeA = false, transposeB = false } = {}): Reference {
  const left = transposeA ? transpose(a) : a
  const right = transposeB ? transpose(b) : b
  return {
    out: product(left, right),
    backward: (dOut) => {
      const dLeft = product(dOut, transpose(right))
      const dRight = product(transpose(left), dOut)
      return { a: transposeA ? transpose(dLeft) : dLeft, b: transposeB ? transpose(dRight) : dRight }
    },
  }
}

/** x · weight + bias. x: [N, in], weight: [in, out], bias: [out]. Gradients `x`, `weight` and, with a bias, `bias`. */
export function linear(x: Nd, weight: Nd, bias?: Nd): Reference {
  const columns = weight.shape[1]
  const { out, backward } = matmul(x, weight)
  return {
    out: bias ? map(out, (value, i) => value + bias.data[i % columns]) : out,
    backward: (dOut) => {
      const { a, b } = backward(dOut)
      return { x: a, weight: b, ...(bias && { bias: sumRows(dOut) }) }
    },
  }
}

/** The sum over all axes but the last. x: [..., C] → [C]. */
export function sumRows(x: Nd): Nd {
  const columns = x.shape.at(-1)!
  const out = nd([columns])
  for (const [i, value] of x.data.entries()) out.data[i % columns] += value
  return out
}
