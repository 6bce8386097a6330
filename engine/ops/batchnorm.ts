/**
 * Batch normalisation of images, as torch.nn.BatchNorm2d, together with what ends a residual block: as the result is
 * written a residual is added to it and it is clamped at 0.
 */
import { record } from '../autograd.ts'
import type { Device } from '../device.ts'
import { ShapeError, show } from '../errors.ts'
import applySource from '../shaders/batchnorm_apply.wgsl'
import backwardEvalSource from '../shaders/batchnorm_backward_eval.wgsl'
import backwardFinishSource from '../shaders/batchnorm_backward_finish.wgsl'
import backwardSmallSource from '../shaders/batchnorm_backward_small.wgsl'
import backwardSmallMoveSource from '../shaders/batchnorm_backward_small_move.wgsl'
import backwardSmallStoreSource from '../shaders/batchnorm_backward_small_store.wgsl'
import backwardSumsSource from '../shaders/batchnorm_backward_sums.wgsl'
import backwardTrainSource from '../shaders/batchnorm_backward_train.wgsl'
import normalSource from '../shaders/batchnorm_normal.wgsl'
import rowsSource from '../shaders/batchnorm_rows.wgsl'
import runningSource from '../shaders/batchnorm_running.wgsl'
import slicesSource from '../shaders/batchnorm_slices.wgsl'
import smallSource from '../shaders/batchnorm_small.wgsl'
import statsSource from '../shaders/batchnorm_stats.wgsl'
import statsFinishSource from '../shaders/batchnorm_stats_finish.wgsl'
import sgdStepSource from '../shaders/sgd_step.wgsl'
import { empty, type SgdUpdate, scope, type Tensor, type UpdateOf } from '../tensor.ts'
import { finish, kindOf, type Layout, sliceToApply, sliceToSum } from './batchnorm_slices.ts'
import { ChannelKernel, stepsOf } from './channels.ts'

const smallKernel = new ChannelKernel('batchnorm_small', normalSource, rowsSource, smallSource)
const backwardSmall = (name: string, ...end: string[]) =>
  new ChannelKernel(name, normalSource, backwardSmallSource, ...end)
const backwardSmallKernel = backwardSmall('batchnorm_backward_small', backwardSmallStoreSource)
const backwardSmallMoveKernel = backwardSmall('batchnorm_backward_small_move', sgdStepSource, backwardSmallMoveSource)
const statsKernel = new ChannelKernel('batchnorm_stats', rowsSource, statsSource)
const statsFinishKernel = new ChannelKernel('batchnorm_stats_finish', normalSource, slicesSource, statsFinishSource)
const runningKernel = new ChannelKernel('batchnorm_running', normalSource, runningSource)
export const applyKernel = new ChannelKernel('batchnorm_apply', normalSource, applySource)
const backwardSumsKernel = new ChannelKernel('batchnorm_backward_sums', normalSource, backwardSumsSource)
const backwardFinishKernel = new ChannelKernel('batchnorm_backward_finish', slicesSource, backwardFinishSource)
export const backwardTrainKernel = new ChannelKernel('batchnorm_backward_train', normalSource, backwardTrainSource)
const backwardEvalKernel = new ChannelKernel('batchnorm_backward_eval', normalSource, backwardEvalSource)

/**
 * How many rows a batch may have for one thread to walk down all of them, which spares two of three dispatches, and LANES
 * of the shaders that do. On lavapipe with 2 cores this takes half the time at 128 rows, three quarters at 2,048, and
 * as long at 8,192; a CPU of more cores would miss the work of its others sooner. A GPU wants more threads than that.
 */
const SMALL = { gpu: { rows: 32, LANES: 32 }, software: { rows: 2048, LANES: 8 } }

/** Threads of a workgroup of batchnorm_running.wgsl. */
const RUNNING_LANES = 64

/** PyTorch's. */
export const DEFAULT_MOMENTUM = 0.1
export const DEFAULT_EPS = 1e-5

export interface BatchNorm2dOptions {
  /** γ and β: [C]. */
  weight: Tensor
  bias: Tensor
  /** [C]; training moves them in place. */
  runningMean: Tensor
  runningVar: Tensor
  /** Normalise with the batch's statistics and move the running ones, or normalise with the running ones. */
  training: boolean
  /** running ← (1 − momentum)·running + momentum·batch. */
  momentum?: number
  /** DEFAULT_EPS unless given. */
  eps?: number
  /** Added to what was normalised: [N, H, W, C]. */
  residual?: Tensor
  /** Clamp the result at 0, NaN staying NaN. */
  relu?: boolean
}

/**
 * (x − mean) / √(variance + eps) · weight + bias by channel, over N, H and W (Ioffe and Szegedy 2015), then + residual
 * and max(…, 0) where they are asked for. Training normalises with the biased variance of the batch and moves runningVar
 * towards the unbiased one, as PyTorch does.
 * @param x [N, H, W, C], of f32 or f16, as the residual and the result are; all else is of f32
 * @throws ShapeError when a statistic or parameter is not [C], the residual not of x's shape, or when there is one value
 *   a channel to train on.
 */
export function batchNorm2d(x: Tensor, options: BatchNorm2dOptions): Tensor {
  const { weight, bias, training, residual, relu = false } = options
  const { device } = x
  const layout = layoutOf(x, options)
  const small = training && layout.rows <= SMALL[kindOf(device)].rows
  const after = flags(relu, residual)
  const { normals, y } = small ? normaliseSmall(x, layout, options, after) : normalise(x, layout, options, after)

  const inputs = residual ? [x, weight, bias, residual] : [x, weight, bias]
  const needsSums = training || weight.requiresGrad || bias.requiresGrad
  // In training without a residual the sign of y is computed again: x is read anyway.
  const keptY = relu && (residual || !training) ? y : null
  const saved = [normals, needsSums ? x : null, keptY].filter((tensor) => tensor !== null)
  return record('batchNorm2d', y, inputs, saved, (dy, _, updateOf) => {
    // d, the gradient behind the clamp, is the residual's. The first pass over dy stores it for the next.
    const d = relu && residual ? empty(device, x.shape) : null
    const passed = { x, dy, y: keptY ?? dy, normals, d }
    if (small && x.requiresGrad) {
      const updates = updatesOf(weight, bias, updateOf)
      return [...smallGrads(passed, layout, after, updates), d ?? dy]
    }
    const [dWeight, dBias] = needsSums ? parameterGrads(passed, layout, after) : [null, null]
    const stored = needsSums ? d : null
    let dx: Tensor | null = null
    if (x.requiresGrad || (d && !stored)) {
      dx = empty(device, x.shape)
      const { params, workgroups } = sliceToApply(device, layout)
      const clamp = flags(relu && !stored, residual)
      const [kernel, bindings] = training
        ? [backwardTrainKernel, [x, stored ?? dy, normals, dBias!, dWeight!, dx]]
        : [backwardEvalKernel, [stored ?? dy, keptY ?? dy, normals, dx, stored || !d ? unused(device) : d]]
      kernel.for(layout.channels).run(device, { ...params, ...clamp }, bindings, workgroups)
    }
    return [dx, dWeight, dBias, d ?? dy]
  })
}

export function layoutOf(x: Tensor, options: BatchNorm2dOptions): Layout {
  const { weight, bias, runningMean, runningVar, training, residual } = options
  if (x.shape.length !== 4) throw new ShapeError(`batchNorm2d: x must be [N, H, W, C], not ${show(x.shape)}`)
  if (x.shape.slice(1).includes(0))
    throw new ShapeError(`batchNorm2d: no size but the number of images may be 0 (x is ${show(x.shape)})`)
  const channels = x.shape[3]
  for (const [name, tensor] of Object.entries({ weight, bias, runningMean, runningVar }))
    if (tensor.shape.length !== 1 || tensor.shape[0] !== channels)
      throw new ShapeError(`batchNorm2d: ${name} is ${show(tensor.shape)}, x has ${channels} channels ${show(x.shape)}`)
  if (residual && show(residual.shape) !== show(x.shape))
    throw new ShapeError(
      `batchNorm2d: residual is ${show(residual.shape)}, x ${show(x.shape)}: they must be of one shape`,
    )
  const rows = x.size / channels
  if (training && rows < 2)
    throw new ShapeError(
      `batchNorm2d: ${rows} value a channel has no variance to train with (x is ${show(x.shape)}): use a larger batch`,
    )
  return { rows, channels }
}

/** What the kernels do after normalising. */
export const flags = (relu: boolean, residual?: Tensor) => ({ relu: relu ? 1 : 0, hasResidual: residual ? 1 : 0 })

type Flags = ReturnType<typeof flags>

/** A binding that a kernel has but does not write under the flags it is given. */
const unused = (device: Device): Tensor => empty(device, [1])

/** `Normal`s of batchnorm_normal.wgsl. */
export const emptyNormals = (device: Device, channels: number): Tensor => empty(device, [channels, 4])

interface Normalised {
  /** What x was normalised with. */
  normals: Tensor
  y: Tensor
}

function normalise(x: Tensor, layout: Layout, options: BatchNorm2dOptions, after: Flags): Normalised {
  const { device } = x
  const y = empty(device, x.shape, x.dtype)
  const normals = options.training ? batchNormals(x, layout, options) : runningNormals(device, layout, options)
  const { params, workgroups } = sliceToApply(device, layout)
  const bindings = [x, normals, options.residual ?? x, y]
  applyKernel.for(layout.channels).run(device, { ...params, ...after }, bindings, workgroups)
  return { normals, y }
}

/** The same for training on few rows, in one pass. */
function normaliseSmall(x: Tensor, layout: Layout, options: BatchNorm2dOptions, after: Flags): Normalised {
  const { device } = x
  const { channels } = layout
  const { weight, bias, residual, runningMean, runningVar, momentum = DEFAULT_MOMENTUM, eps = DEFAULT_EPS } = options
  const y = empty(device, x.shape, x.dtype)
  const normals = emptyNormals(device, channels)
  const bindings = [x, weight, bias, residual ?? x, normals, runningMean, runningVar, y]
  const params = { ...layout, ...after, momentum, eps }
  runSmall(smallKernel, device, params, bindings)
  return { normals, y }
}

/** The mean of each channel over slices of the rows, and Σ (x − mean)²: [slices, C] each, of at most `most` slices. */
export function sliceStatistics(x: Tensor, layout: Layout, most?: number) {
  const { device } = x
  const { slices, params, workgroups } = sliceToSum(device, layout, most)
  const [means, squares] = emptyPair(device, [slices, layout.channels])
  statsKernel.for(layout.channels).run(device, params, [x, means, squares], workgroups)
  const { rows, rowsPerSlice } = params
  return { means, squares, slices, params, rowsOf: (i: number) => Math.min(rowsPerSlice, rows - i * rowsPerSlice) }
}

/** What normalises with the statistics of the batch; the running statistics are moved towards them. */
function batchNormals(x: Tensor, layout: Layout, options: BatchNorm2dOptions): Tensor {
  const { device } = x
  const { channels } = layout
  const { weight, bias, runningMean, runningVar, momentum = DEFAULT_MOMENTUM, eps = DEFAULT_EPS } = options
  return scope(() => {
    const { means, squares, slices, params } = sliceStatistics(x, layout)
    const normals = emptyNormals(device, channels)
    const bindings = [means, squares, weight, bias, normals, runningMean, runningVar]
    finish(statsFinishKernel, device, { ...params, slices, momentum, eps }, bindings)
    return normals
  })
}

/** What normalises with the running statistics. */
function runningNormals(device: Device, { channels }: Layout, options: BatchNorm2dOptions): Tensor {
  const { weight, bias, runningMean, runningVar, eps = DEFAULT_EPS } = options
  const normals = emptyNormals(device, channels)
  const workgroups = Math.ceil(stepsOf(channels) / RUNNING_LANES)
  const bindings = [runningMean, runningVar, weight, bias, normals]
  runningKernel.for(channels).run(device, { channels, eps }, bindings, [workgroups])
  return normals
}

/** What the passes backwards read, and the tensor, if any, in which it leaves d. */
interface Passed {
  x: Tensor
  dy: Tensor
  y: Tensor
  normals: Tensor
  d: Tensor | null
}

/** The gradients of weight and bias, [C] each: Σ d·x̂ and Σ d. */
export function parameterGrads(tensors: Passed, layout: Layout, after: Flags): [Tensor, Tensor] {
  const { x, dy, y, normals, d } = tensors
  const { device } = x
  const { channels } = layout
  const { slices, params, workgroups } = sliceToSum(device, layout)
  const [sums, products] = emptyPair(device, [slices, channels])
  const bindings = [x, dy, y, normals, sums, products, d ?? unused(device)]
  backwardSumsKernel.for(channels).run(device, { ...params, ...after }, bindings, workgroups)
  const [dWeight, dBias] = emptyPair(device, [channels])
  finish(backwardFinishKernel, device, { channels, slices }, [sums, products, dBias, dWeight])
  return [dWeight, dBias]
}

/** The steps that weight and bias are to make, where one kernel can make both. */
function updatesOf(weight: Tensor, bias: Tensor, updateOf: UpdateOf): [SgdUpdate, SgdUpdate] | null {
  const { maxStorageBuffersPerShaderStage } = weight.device.limits
  if (maxStorageBuffersPerShaderStage < MOVE_BUFFERS) return null
  const [one, other] = [updateOf(weight), updateOf(bias)]
  const alike = one && other && STEP_NUMBERS.every((name) => one[name] === other[name])
  return alike ? [one, other] : null
}

const STEP_NUMBERS = ['lr', 'momentum', 'weightDecay'] as const

/** Of batchnorm_backward_small_move.wgsl. */
const MOVE_BUFFERS = 10

/** The gradients of x, weight and bias in training on few rows, in one pass; it moves the last two if told how. */
function smallGrads(
  tensors: Passed,
  layout: Layout,
  after: Flags,
  updates: [SgdUpdate, SgdUpdate] | null,
): [Tensor, Tensor | null, Tensor | null] {
  const { x, dy, y, normals, d } = tensors
  const { device } = x
  const { channels } = layout
  const dx = empty(device, x.shape)
  const bindings = [x, dy, y, normals, d ?? unused(device), dx]
  if (updates) {
    const [{ lr, momentum, weightDecay }] = updates
    const moving = updates.flatMap(({ param, velocity }) => [param, velocity])
    const params = { ...layout, ...after, lr, momentum, weightDecay }
    runSmall(backwardSmallMoveKernel, device, params, [...bindings, ...moving])
    return [dx, null, null]
  }
  const [dWeight, dBias] = emptyPair(device, [channels])
  const params = { ...layout, ...after, lr: 0, momentum: 0, weightDecay: 0 }
  runSmall(backwardSmallKernel, device, params, [...bindings, dWeight, dBias])
  return [dx, dWeight, dBias]
}

/** Runs a kernel for few rows; `params` are its own. */
function runSmall(kernel: ChannelKernel, device: Device, params: Layout & Flags, bindings: Tensor[]): void {
  const { LANES } = SMALL[kindOf(device)]
  const workgroups = Math.ceil(stepsOf(params.channels) / LANES)
  kernel.for(params.channels, { LANES }).run(device, { ...params }, bindings, [workgroups])
}

const emptyPair = (device: Device, shape: readonly number[]): [Tensor, Tensor] => [
  empty(device, shape),
  empty(device, shape),
]
