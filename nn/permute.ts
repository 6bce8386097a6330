/** Axes in another order, on the CPU: how weights go from PyTorch's layout to the kernels' and back. */

const MAX_AXES = 4

/**
 * The elements of an array with its axes in another order, as NumPy's transpose: OIHW to HWIO is [2, 3, 1, 0].
 * @param data row-major; `shape` has at most four axes
 */
export function permute(
  data: Float32Array,
  shape: readonly number[],
  axes: readonly number[],
): Float32Array<ArrayBuffer> {
  if (axes.length > MAX_AXES) throw new RangeError(`permute: ${axes.length} axes, at most ${MAX_AXES} are supported`)
  const stride = (axis: number) => shape.slice(axis + 1).reduce((product, extent) => product * extent, 1)
  // Missing outer axes have one element.
  const padding = Array.from({ length: MAX_AXES - axes.length }, () => 1)
  const [extent0, extent1, extent2, extent3] = [...padding, ...axes.map((axis) => shape[axis])]
  const [stride0, stride1, stride2, stride3] = [...padding, ...axes.map(stride)]
  const out = new Float32Array(data.length)
  let at = 0
  for (let i0 = 0; i0 < extent0; i0++)
    for (let i1 = 0; i1 < extent1; i1++)
      for (let i2 = 0; i2 < extent2; i2++) {
        let from = i0 * stride0 + i1 * stride1 + i2 * stride2
        for (let i3 = 0; i3 < extent3; i3++, from += stride3) out[at++] = data[from]
      }
  return out
}

export const permuteShape = (shape: readonly number[], axes: readonly number[]): number[] =>
  axes.map((axis) => shape[axis])

/** The order of axes that undoes `axes`. */
export const inverse = (axes: readonly number[]): number[] => axes.map((_, axis) => axes.indexOf(axis))
