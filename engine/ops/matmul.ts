/** Products of matrices, and the linear layer. */
import { record } from '../autograd.ts'
import { ShapeError, show } from '../errors.ts'
import { empty, type SgdUpdate, scope, Tensor } from '../tensor.ts'
import { gemm, transposedWeight } from './gemm.ts'
import { type GemmOverRows, gemmOverRows } from './gemm_over_rows.ts'
import { matrixLine, matrixRows } from './patches.ts'
import { sumRows } from './slices.ts'
import { transposeMatrices } from './transpose.ts'

export interface MatmulOptions {
  /** Take a: [K, M], not [M, K]. */
  transposeA?: boolean
  /** Take b: [N, K], not [K, N]. */
  transposeB?: boolean
}

/**
 * op(a) · op(b), where op transposes if told: [M, K] · [K, N] → [M, N]. Any size may be 0; sums of nothing are 0.
 * @throws ShapeError when a or b is no matrix or their inner sizes differ.
 */
export function matmul(a: Tensor, b: Tensor, { transposeA = false, transposeB = false }: MatmulOptions = {}): Tensor {
  const depth = sharedDepth('matmul', a, b, transposeA, transposeB)
  const out = product(a, b, depth, transposeA, transposeB)
  return record('matmul', out, [a, b], [a, b], (dy) => {
    const [rows, columns] = out.shape
    const da = () =>
      transposeA ? product(b, dy, columns, transposeB, true) : product(dy, b, columns, false, !transposeB)
    const db = () => (transposeB ? product(dy, a, rows, true, transposeA) : product(a, dy, rows, !transposeA, false))
    return [a.requiresGrad ? da() : null, b.requiresGrad ? db() : null]
  })
}

/**
 * x · weight + bias.
 * @param x [N, in]
 * @param weight [in, out]
 * @param bias [out]
 * @returns [N, out]
 * @throws ShapeError when the shapes do not fit.
 */
export function linear(x: Tensor, weight: Tensor, bias?: Tensor): Tensor {
  const depth = sharedDepth('linear', x, weight, false, false)
  const outputs = weight.shape[1]
  if (bias && (bias.shape.length !== 1 || bias.size !== outputs))
    throw new ShapeError(
      `linear: bias must be [${outputs}] for a weight ${show(weight.shape)}, given ${show(bias.shape)}`,
    )
  const out = product(x, weight, depth, false, false, bias)
  return record('linear', out, bias ? [x, weight, bias] : [x, weight], [x, weight], (dy, _, updateOf) => [
    // First, from the weight as it is: the next may move it.
    x.requiresGrad ? product(dy, weight, outputs, false, true) : null,
    weight.requiresGrad ? weightGradient(x, dy, updateOf(weight)) : null,
    bias?.requiresGrad ? sumRows(dy) : null,
  ])
}

/** xᵀ · dy; null where that has moved the weight. */
function weightGradient(x: Tensor, dy: Tensor, update: SgdUpdate | null): Tensor | null {
  if (x.size === 0 || dy.size === 0) return product(x, dy, x.shape[0], true, false)
  return gemmOverRows(overRows(x, dy), update)
}

/** xᵀ · dy: [N, K] and [N, M] are summed over their rows. */
function overRows(x: Tensor, dy: Tensor): GemmOverRows {
  const [rows, channels] = x.shape
  const columns = dy.shape[1]
  return { x, dy, shape: [channels, columns], channels, columns, patches: matrixLine(rows, channels) }
}

/** op(a) · op(b) + bias, unrecorded; a bias only with an untransposed a. `depth` is the size that they share. */
function product(a: Tensor, b: Tensor, depth: number, transposeA: boolean, transposeB: boolean, bias?: Tensor): Tensor {
  const rows = a.shape[transposeA ? 1 : 0]
  const columns = b.shape[transposeB ? 0 : 1]
  if (rows === 0 || columns === 0) return empty(a.device, [rows, columns])
  if (depth === 0 && !bias) return Tensor.zeros(a.device, [rows, columns]) // sums of nothing
  return scope(() => {
    if (transposeA) {
      const straight = transposeB ? transposeMatrices(b, columns, depth).view([depth, columns]) : b
      return gemmOverRows(overRows(a, straight))
    }
    const out = empty(a.device, [rows, columns])
    const weight = transposeB ? transposedWeight(b, depth, columns, rows) : { weight: b, transposed: false }
    gemm({ x: a, ...weight, bias, out, rows, depth, columns, patches: matrixRows(depth) })
    return out
  })
}

function sharedDepth(op: string, a: Tensor, b: Tensor, transposeA: boolean, transposeB: boolean): number {
  for (const matrix of [a, b])
    if (matrix.shape.length !== 2) throw new ShapeError(`${op} multiplies matrices, given ${show(matrix.shape)}`)
  const narrow = [a, b].find(({ dtype }) => dtype !== 'f32')
  if (narrow) throw new ShapeError(`${op} multiplies matrices of f32, given ${show(narrow.shape)} of ${narrow.dtype}`)
  const [ofA, ofB] = [a.shape[transposeA ? 0 : 1], b.shape[transposeB ? 1 : 0]]
  if (ofA === ofB) return ofA
  const name = (tensor: Tensor, transposed: boolean) => show(tensor.shape) + (transposed ? ' transposed' : '')
  throw new ShapeError(
    `${op}: the inner sizes of ${name(a, transposeA)} and ${name(b, transposeB)} differ: ${ofA} and ${ofB}`,
  )
}
