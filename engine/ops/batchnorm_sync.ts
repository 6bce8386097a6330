/**
 * Batch normalisation over a batch that several processes share, each with some of its images (torch.nn.SyncBatchNorm):
 * all normalise with the statistics of the whole. Those of each process are read back, joined and written again, once
 * forward and once backward for every layer: promised writes, so that the op itself waits for nothing, but the GPU does.
 */
import { record } from '../autograd.ts'
import { ShapeError } from '../errors.ts'
import joinedSource from '../shaders/batchnorm_joined.wgsl'
import normalSource from '../shaders/batchnorm_normal.wgsl'
import { empty, scope, type Tensor } from '../tensor.ts'
import {
  applyKernel,
  type BatchNorm2dOptions,
  backwardTrainKernel,
  DEFAULT_EPS,
  DEFAULT_MOMENTUM,
  emptyNormals,
  flags,
  layoutOf,
  parameterGrads,
  sliceStatistics,
} from './batchnorm.ts'
import { type Layout, sliceToApply } from './batchnorm_slices.ts'
import { ChannelKernel, stepsOf } from './channels.ts'

const joinedKernel = new ChannelKernel('batchnorm_joined', normalSource, joinedSource)

/** Threads of a workgroup of batchnorm_joined.wgsl. */
const JOINED_LANES = 64

/** At most so many slices of statistics are read back, of 8 bytes a channel each. */
const MOST_SLICES_READ = 32

/** The processes that share a batch. */
export interface BatchSync {
  /** Adds up over all of them; every process asks for the same sums in the same order. */
  sum(values: Promise<Float64Array<ArrayBuffer>>): Promise<Float64Array>
  /** Whether this process's images count. One that has none of the batch goes along with others, which do not. */
  readonly counts: boolean
}

/**
 * `batchNorm2d` in training, over the images of all processes.
 * @param x [N, H, W, C], this process's part of the batch
 * @throws ShapeError when shapes do not fit; when there is but one value a channel over all processes, what waits for the
 *   result fails with it.
 */
export function syncBatchNorm2d(x: Tensor, options: Omit<BatchNorm2dOptions, 'training'>, sync: BatchSync): Tensor {
  const { weight, bias, residual, relu = false } = options
  const { device } = x
  const layout = layoutOf(x, { ...options, training: false })
  const { normals, y, rows } = scope(() => {
    const joined = joinStatistics(x, layout, sync)
    const normals = normalsOf(joined, layout, options)
    const y = empty(device, x.shape, x.dtype)
    const { params, workgroups } = sliceToApply(device, layout)
    const bindings = [x, normals, residual ?? x, y]
    applyKernel.for(layout.channels).run(device, { ...params, ...flags(relu, residual) }, bindings, workgroups)
    return { normals, y, rows: joined.count }
  })

  const inputs = residual ? [x, weight, bias, residual] : [x, weight, bias]
  const keptY = relu && residual ? y : null
  const saved = [normals, x, keptY].filter((tensor) => tensor !== null)
  return record('syncBatchNorm2d', y, inputs, saved, (dy) => {
    const d = keptY ? empty(device, x.shape) : null
    const passed = { x, dy, y: keptY ?? dy, normals, d }
    const [dWeight, dBias] = parameterGrads(passed, layout, flags(relu, residual))
    let dx: Tensor | null = null
    if (x.requiresGrad) {
      dx = empty(device, x.shape)
      const [ofWeight, ofBias] = joinGradients(dWeight, dBias, rows, layout, sync)
      const { params, workgroups } = sliceToApply(device, layout)
      const bindings = [x, d ?? dy, normals, ofBias, ofWeight, dx]
      const clamp = flags(relu && !d, residual)
      backwardTrainKernel.for(layout.channels).run(device, { ...params, ...clamp }, bindings, workgroups)
    }
    return [dx, dWeight, dBias, d ?? dy]
  })
}

/** Over all processes: how many rows, their mean and Σ (x − mean)², [C] each. */
interface Joined {
  rows: Tensor
  mean: Tensor
  squares: Tensor
  /** As `rows`, for the CPU. */
  count: Promise<number>
}

/**
 * Sums rows, rows·mean and Σ x² of each channel in float64: where the mean is 10⁴ standard deviations, Σ x² − (Σ x)²/n
 * still has half its digits, more than float32 has in all.
 */
function joinStatistics(x: Tensor, layout: Layout, sync: BatchSync): Joined {
  const { device } = x
  const { channels } = layout
  const { counts } = sync
  const { means, squares, rowsOf } = sliceStatistics(x, layout, MOST_SLICES_READ)
  const mine = Promise.all([means.read(), squares.read()]).then(([means, squares]) => {
    const sums = new Float64Array(1 + 2 * channels)
    if (!counts) return sums
    sums[0] = layout.rows
    for (let at = 0; at < means.length; at++) {
      const rows = rowsOf(Math.floor(at / channels))
      const channel = at % channels
      sums[1 + channel] += rows * means[at]
      sums[1 + channels + channel] += squares[at] + rows * means[at] ** 2
    }
    return sums
  })
  const all = sync.sum(mine).then((sums) => {
    const [rows] = sums
    if (rows < 2)
      throw new ShapeError(
        `syncBatchNorm2d: ${rows} value a channel over all processes has no variance to train with: use a larger batch`,
      )
    const mean = Float32Array.from(sums.subarray(1, 1 + channels), (sum) => sum / rows)
    const squares = Float32Array.from(sums.subarray(1 + channels), (sum, c) =>
      Math.max(0, sum - sums[1 + c] ** 2 / rows),
    )
    return { rows, mean, squares }
  })
  const joined = { rows: empty(device, [1]), mean: empty(device, [channels]), squares: empty(device, [channels]) }
  joined.rows.write(all.then(({ rows }) => Float32Array.of(rows)))
  joined.mean.write(all.then(({ mean }) => mean))
  joined.squares.write(all.then(({ squares }) => squares))
  const count = all.then(({ rows }) => rows)
  count.catch(() => {}) // the writes tell of it
  return { ...joined, count }
}

function normalsOf(
  { rows, mean, squares }: Joined,
  { channels }: Layout,
  options: Omit<BatchNorm2dOptions, 'training'>,
): Tensor {
  const { weight, bias, runningMean, runningVar, momentum = DEFAULT_MOMENTUM, eps = DEFAULT_EPS } = options
  const { device } = rows
  const normals = emptyNormals(device, channels)
  const bindings = [rows, mean, squares, weight, bias, normals, runningMean, runningVar]
  const workgroups = Math.ceil(stepsOf(channels) / JOINED_LANES)
  joinedKernel.for(channels).run(device, { channels, momentum, eps }, bindings, [workgroups])
  return normals
}

/**
 * Σ d·x̂ and Σ d over all processes, each times this process's part of the rows: batchnorm_backward_train.wgsl divides by
 * its own rows, which then gives the means over all.
 */
function joinGradients(
  dWeight: Tensor,
  dBias: Tensor,
  count: Promise<number>,
  { rows, channels }: Layout,
  sync: BatchSync,
): [Tensor, Tensor] {
  const { counts } = sync
  const mine = Promise.all([dWeight.read(), dBias.read()]).then(([dWeight, dBias]) => {
    const sums = new Float64Array(2 * channels)
    if (!counts) return sums
    sums.set(dWeight)
    sums.set(dBias, channels)
    return sums
  })
  const all = Promise.all([sync.sum(mine), count]).then(([sums, count]) =>
    Float32Array.from(sums, (sum) => (counts ? (sum * rows) / count : 0)),
  )
  const [ofWeight, ofBias] = [empty(dWeight.device, [channels]), empty(dWeight.device, [channels])]
  ofWeight.write(all.then((sums) => sums.subarray(0, channels)))
  ofBias.write(all.then((sums) => sums.subarray(channels)))
  return [ofWeight, ofBias]
}
