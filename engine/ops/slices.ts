/**
 * Long sums with few results. One workgroup a result would leave most of a GPU idle, and floats cannot be added
 * atomically without their order, and so their rounding, changing from run to run: the sum is cut into slices that
 * workgroups make side by side, and a second kernel adds the slices in order.
 */
import type { Device } from '../device.ts'
import { Kernel, spread } from '../kernel.ts'
import sumRowsSource from '../shaders/sum_rows.wgsl'
import sumSlicesSource from '../shaders/sum_slices.wgsl'
import { empty, type Shape, scope, sizeOf, type Tensor } from '../tensor.ts'

const sumRowsKernel = new Kernel('sum_rows', sumRowsSource)
const sumSlicesKernel = new Kernel('sum_slices', sumSlicesSource)

/** Workgroups that keep a large GPU busy: a few for each multiprocessor. */
export const GPU_WORKGROUPS = 512

/** The same for a device: on a CPU a few for each core. */
const busyWorkgroups = (device: Device) => (device.software ? 16 : GPU_WORKGROUPS)

/** Rows below which a slice is not worth its share of the second pass. */
const SLICE_ROWS = 128

/** Slice s has rows [s, s + 1) · sliceRows. */
export interface Cut {
  slices: number
  sliceRows: number
}

/** @param workgroups how many one slice takes */
export function cutRows(device: Device, rows: number, workgroups: number): Cut {
  const wanted = Math.ceil(busyWorkgroups(device) / workgroups)
  const sliceRows = Math.max(SLICE_ROWS, Math.ceil(rows / wanted))
  return { slices: Math.ceil(rows / sliceRows), sliceRows }
}

/**
 * A sum over rows into a tensor of `shape`.
 * @param run fills `parts`, [slices, ...shape], with the sum of each slice
 */
export function sumInSlices(device: Device, shape: Shape, { slices }: Cut, run: (parts: Tensor) => void): Tensor {
  const out = empty(device, shape)
  if (slices === 1) run(out)
  else
    scope(() => {
      const size = sizeOf(shape)
      const parts = empty(device, [slices, ...shape])
      run(parts)
      sumSlicesKernel.run(device, { size, slices }, [parts, out], spread(device, size, 64))
    })
  return out
}

/** The sum over all axes but the last. x: [..., C] → [C]. */
export function sumRows(x: Tensor): Tensor {
  const columns = x.shape.at(-1)!
  const rows = sizeOf(x.shape.slice(0, -1))
  const cut = cutRows(x.device, rows, Math.ceil(columns / 64))
  return sumInSlices(x.device, [columns], cut, (parts) => {
    const groups = spread(x.device, columns, 64)
    sumRowsKernel.run(x.device, { rows, columns, sliceRows: cut.sliceRows }, [x, parts], [...groups, cut.slices])
  })
}
