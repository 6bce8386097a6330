/** How passes over the rows of a large batch are divided into slices, for batch normalisation. */
import type { Device } from '../device.ts'
import type { Tensor } from '../tensor.ts'
import { type ChannelKernel, ITEMS, LANES, stepsOf } from './channels.ts'

/** An image tensor as the kernels see it: rows = N·H·W of `channels` numbers. */
export interface Layout {
  rows: number
  channels: number
}

/** How many rows a thread sums: enough to be worth its start, few enough to give a small batch many threads. */
const ROWS_TO_SUM = 32

/**
 * How many rows a thread normalises: on a GPU it has read four to six numbers of its channel for them; on a CPU (lavapipe)
 * the start of 8 threads, one vector, was measured to cost as much as 7 of their rows.
 */
const ROWS_TO_APPLY = { gpu: 8, software: 64 }

/**
 * A large batch is cut into so many slices at most: on a GPU 32 for each of the 32 threads by which the second pass adds
 * up a channel; on a CPU as many as one thread adds up, which keep its few cores as busy.
 */
const MOST_SLICES = { gpu: 1024, software: 32 }

/** The second pass for many slices and for few: LANES and SPREAD of its shaders. */
const MANY_SLICES = { LANES: 8, SPREAD: 32 }
const FEW_SLICES = { LANES: 32, SPREAD: 1 }

export const kindOf = (device: Device) => (device.software ? 'software' : 'gpu')

/** How the passes that normalise cut the rows. */
export const sliceToApply = (device: Device, layout: Layout) =>
  slice(layout, ROWS_TO_APPLY[kindOf(device)], device.limits.maxComputeWorkgroupsPerDimension)

/** How the passes that sum cut the rows: into `most` slices at most. */
export const sliceToSum = (device: Device, layout: Layout, most = MOST_SLICES[kindOf(device)]) =>
  slice(layout, ROWS_TO_SUM, most)

/** Cuts the rows into slices of `rowsAtLeast`, or longer ones where there would be more than `most`. */
function slice({ rows, channels }: Layout, rowsAtLeast: number, most: number) {
  const rowsPerSlice = Math.max(rowsAtLeast, Math.ceil(rows / most))
  const slices = Math.ceil(rows / rowsPerSlice)
  const workgroups: [number, number] = [Math.ceil(stepsOf(channels) / LANES), Math.ceil(slices / ITEMS)]
  return { slices, params: { rows, channels, rowsPerSlice }, workgroups }
}

/** Runs a second pass over slices; `params` are its kernel's, `channels` and `slices` among them. */
export function finish(
  kernel: ChannelKernel,
  device: Device,
  params: Readonly<Record<string, number>>,
  bindings: Tensor[],
): void {
  const constants = params.slices > MANY_SLICES.SPREAD ? MANY_SLICES : FEW_SLICES
  const workgroups = Math.ceil(stepsOf(params.channels) / constants.LANES)
  kernel.for(params.channels, constants).run(device, params, bindings, [workgroups])
}
