/** Batch normalisation of images, as torch.nn.BatchNorm2d. */
import { record } from '../autograd.ts'
import type { Device } from '../device.ts'
import { ShapeError, show } from '../errors.ts'
import applySource from '../shaders/batchnorm_apply.wgsl'
import backwardEvalSource from '../shaders/batchnorm_backward_eval.wgsl'
import backwardFinishSource from '../shaders/batchnorm_backward_finish.wgsl'
import backwardSumsSource from '../shaders/batchnorm_backward_sums.wgsl'
import backwardTrainSource from '../shaders/batchnorm_backward_train.wgsl'
import slicesSource from '../shaders/batchnorm_slices.wgsl'
import statsSource from '../shaders/batchnorm_stats.wgsl'
import statsFinishSource from '../shaders/batchnorm_stats_finish.wgsl'
import { empty, scope, type Tensor } from '../tensor.ts'
import { ChannelKernel, ITEMS, LANES, stepsOf } from './channels.ts'

const statsKernel = new ChannelKernel('batchnorm_stats', statsSource)
const statsFinishKernel = new ChannelKernel('batchnorm_stats_finish', slicesSource, statsFinishSource)
const applyKernel = new ChannelKernel('batchnorm_apply', applySource)
const backwardSumsKernel = new ChannelKernel('batchnorm_backward_sums', backwardSumsSource)
const backwardFinishKernel = new ChannelKernel('batchnorm_backward_finish', slicesSource, backwardFinishSource)
const backwardTrainKernel = new ChannelKernel('batchnorm_backward_train', backwardTrainSource)
const backwardEvalKernel = new ChannelKernel('batchnorm_backward_eval', backwardEvalSource)

/**
 * How many rows a thread of a first pass sums: enough to be worth its start, few enough to give a small batch many
 * threads. A large batch is cut into so many slices at most: on a GPU 32 for each of the 32 threads by which the second
 * pass adds up a channel; on a CPU as many as one thread adds up, which keep its few cores as busy.
 */
const ROWS_TO_SUM = 32
const MOST_SLICES = { gpu: 1024, software: 32 }

/** The second pass for many slices and for few: LANES and SPREAD of its shaders. */
const MANY_SLICES = { LANES: 8, SPREAD: 32 }
const FEW_SLICES = { LANES: 32, SPREAD: 1 }

/** How many rows a thread normalises: it has read four or five numbers of its channel for them. */
const ROWS_TO_APPLY = 8

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
  eps?: number
}

/**
 * (x − mean) / √(variance + eps) · weight + bias by channel, over N, H and W (Ioffe and Szegedy 2015). Training
 * normalises with the biased variance of the batch and moves runningVar towards the unbiased one, as PyTorch does.
 * @param x [N, H, W, C]
 * @throws ShapeError when a statistic or parameter is not [C], or when there is one value a channel to train on.
 */
export function batchNorm2d(x: Tensor, options: BatchNorm2dOptions): Tensor {
  const { weight, bias, runningMean, runningVar, training, momentum = 0.1, eps = 1e-5 } = options
  const layout = layoutOf(x, options)
  const [mean, variance] = training ? batchStatistics(x, layout, options, momentum) : [runningMean, runningVar]
  const out = empty(x.device, x.shape)
  const apply = slice(layout, ROWS_TO_APPLY, x.device.limits.maxComputeWorkgroupsPerDimension)
  const params = { ...apply.params, eps }
  const kernel = applyKernel.for(layout.channels)
  kernel.run(x.device, params, [x, mean, variance, weight, bias, out], apply.workgroups)

  return record('batchNorm2d', out, [x, weight, bias], [x, mean, variance, weight], (dy) => {
    const inParameters = weight.requiresGrad || bias.requiresGrad
    const [dWeight, dBias] =
      inParameters || training ? parameterGrads(x, dy, mean, variance, layout, eps) : [null, null]
    if (!x.requiresGrad) return [null, dWeight, dBias]
    const dx = empty(x.device, x.shape)
    const [kernel, bindings] = training
      ? [backwardTrainKernel, [x, dy, mean, variance, weight, dBias!, dWeight!, dx]]
      : [backwardEvalKernel, [dy, variance, weight, dx]]
    kernel.for(layout.channels).run(x.device, params, bindings, apply.workgroups)
    return [dx, dWeight, dBias]
  })
}

/** An image tensor as the kernels see it: rows = N·H·W of `channels` numbers. */
interface Layout {
  rows: number
  channels: number
}

function layoutOf(x: Tensor, { weight, bias, runningMean, runningVar, training }: BatchNorm2dOptions): Layout {
  if (x.shape.length !== 4) throw new ShapeError(`batchNorm2d: x must be [N, H, W, C], not ${show(x.shape)}`)
  const channels = x.shape[3]
  for (const [name, tensor] of Object.entries({ weight, bias, runningMean, runningVar }))
    if (tensor.shape.length !== 1 || tensor.shape[0] !== channels)
      throw new ShapeError(`batchNorm2d: ${name} is ${show(tensor.shape)}, x has ${channels} channels ${show(x.shape)}`)
  const rows = x.size / channels
  if (training && rows < 2)
    throw new ShapeError(
      `batchNorm2d: ${rows} value a channel has no variance to train with (x is ${show(x.shape)}): use a larger batch`,
    )
  return { rows, channels }
}

/** The batch's mean and biased variance, [C] each; the running statistics are moved towards them. */
function batchStatistics(x: Tensor, layout: Layout, options: BatchNorm2dOptions, momentum: number): [Tensor, Tensor] {
  const { device } = x
  const { channels } = layout
  return scope(() => {
    const { slices, params, workgroups } = slice(layout, ROWS_TO_SUM, mostSlices(device))
    const [means, squares] = emptyPair(device, [slices, channels])
    statsKernel.for(channels).run(device, params, [x, means, squares], workgroups)
    const [mean, variance] = emptyPair(device, [channels])
    const bindings = [means, squares, mean, variance, options.runningMean, options.runningVar]
    finish(statsFinishKernel, device, { ...params, slices, momentum }, bindings)
    return [mean, variance]
  })
}

/** The gradients of weight and bias, [C] each: Σ dy·x̂ and Σ dy. */
function parameterGrads(
  x: Tensor,
  dy: Tensor,
  mean: Tensor,
  variance: Tensor,
  layout: Layout,
  eps: number,
): [Tensor, Tensor] {
  const { device } = x
  const { channels } = layout
  const { slices, params, workgroups } = slice(layout, ROWS_TO_SUM, mostSlices(device))
  const [sums, products] = emptyPair(device, [slices, channels])
  backwardSumsKernel.for(channels).run(device, { ...params, eps }, [x, dy, mean, variance, sums, products], workgroups)
  const [dWeight, dBias] = emptyPair(device, [channels])
  finish(backwardFinishKernel, device, { channels, slices }, [sums, products, dBias, dWeight])
  return [dWeight, dBias]
}

const mostSlices = (device: Device): number => (device.software ? MOST_SLICES.software : MOST_SLICES.gpu)

/** Cuts the rows into slices of `rowsAtLeast`, or longer ones where there would be more than `most`. */
function slice({ rows, channels }: Layout, rowsAtLeast: number, most: number) {
  const rowsPerSlice = Math.max(rowsAtLeast, Math.ceil(rows / most))
  const slices = Math.ceil(rows / rowsPerSlice)
  const workgroups: [number, number] = [Math.ceil(stepsOf(channels) / LANES), Math.ceil(slices / ITEMS)]
  return { slices, params: { rows, channels, rowsPerSlice }, workgroups }
}

/** Runs a second pass over slices; `params` are its kernel's, `channels` and `slices` among them. */
function finish(
  kernel: ChannelKernel,
  device: Device,
  params: Readonly<Record<string, number>>,
  bindings: Tensor[],
): void {
  const constants = params.slices > MANY_SLICES.SPREAD ? MANY_SLICES : FEW_SLICES
  const workgroups = Math.ceil(stepsOf(params.channels) / constants.LANES)
  kernel.for(params.channels, constants).run(device, params, bindings, [workgroups])
}

const emptyPair = (device: Device, shape: readonly number[]): [Tensor, Tensor] => [
  empty(device, shape),
  empty(device, shape),
]
