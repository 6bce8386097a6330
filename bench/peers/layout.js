/** From kakuritsu's layouts to others: rows are made as images [N, H, W, C] and weights [K, K, I, O]. */

/** `data`, a dense array of `shape`, with its axes in another order. */
export function permute(data, shape, axes) {
  const strides = shape.map((_, axis) => shape.slice(axis + 1).reduce((product, extent) => product * extent, 1))
  const extents = axes.map((axis) => shape[axis])
  const steps = axes.map((axis) => strides[axis])
  const out = new Float32Array(data.length)
  const index = axes.map(() => 0)
  for (let i = 0, at = 0; i < out.length; i++) {
    out[i] = data[at]
    for (let k = axes.length - 1; k >= 0; k--) {
      at += steps[k]
      if (++index[k] < extents[k]) break
      at -= steps[k] * extents[k]
      index[k] = 0
    }
  }
  return out
}

/** The weight of a convolution, [K, K, I, O], as [O, I, K, K]. */
export const oihw = (weight, { kernel, channels, outputs }) =>
  permute(weight, [kernel, kernel, channels, outputs], [3, 2, 0, 1])

/** The other way. */
export const hwio = (weight, [outputs, channels, kernel]) =>
  permute(weight, [outputs, channels, kernel, kernel], [2, 3, 1, 0])

export const toNchw = (x, [n, h, w, c]) => permute(x, [n, h, w, c], [0, 3, 1, 2])

/** @param shape of the result's axes as they are: [N, C, H, W] */
export const toNhwc = (x, [n, c, h, w]) => permute(x, [n, c, h, w], [0, 2, 3, 1])
