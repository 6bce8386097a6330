import * as elementwise from './elementwise.ts'
import { map, type Nd, nd, type Reference } from './nd.ts'

export interface BatchNormOptions {
  weight: Nd
  bias: Nd
  runningMean: Nd
  runningVar: Nd
  training: boolean
  momentum: number
  eps: number
  /** Added to what was normalised. */
  residual?: Nd
  relu?: boolean
}

/**
 * Batch normalisation of x: [N, H, W, C] over N, H and W (Ioffe and Szegedy, 2015; torch.nn.BatchNorm2d). Training
 * normalises with the batch's mean and biased variance and returns the running statistics moved by `momentum` towards
 * the mean and the unbiased variance; evaluation normalises with the running statistics and returns them as given.
 * The residual is added to the result, and the sum clamped.
 */
export function batchNorm2d(x: Nd, options: BatchNormOptions): Reference & { runningMean: Nd; runningVar: Nd } {
  const { weight, bias, runningMean, runningVar, training, momentum, eps } = options
  const channels = x.shape[x.shape.length - 1]
  const rows = x.data.length / channels
  const sumOverRows = (f: (i: number, c: number) => number): Nd => {
    const sums = nd([channels])
    for (let i = 0; i < x.data.length; i++) sums.data[i % channels] += f(i, i % channels)
    return sums
  }
  const mean = training
    ? map(
        sumOverRows((i) => x.data[i]),
        (sum) => sum / rows,
      )
    : runningMean
  const squares = sumOverRows((i, c) => (x.data[i] - mean.data[c]) ** 2)
  const variance = training ? map(squares, (sum) => sum / rows) : runningVar
  const inverseStd = map(variance, (value) => 1 / Math.sqrt(value + eps))
  const normalised = map(x, (value, i) => (value - mean.data[i % channels]) * inverseStd.data[i % channels])
  const moved = (running: Nd, batch: (c: number) => number) =>
    training ? map(running, (value, c) => (1 - momentum) * value + momentum * batch(c)) : running

  const scaled = map(normalised, (value, i) => value * weight.data[i % channels] + bias.data[i % channels])
  const sum = options.residual ? elementwise.add(scaled, options.residual).out : scaled
  const clamped = options.relu ? elementwise.relu(sum) : null

  return {
    out: clamped?.out ?? sum,
    runningMean: moved(runningMean, (c) => mean.data[c]),
    runningVar: moved(runningVar, (c) => squares.data[c] / (rows - 1)),
    backward: (dOut) => {
      const dSum = clamped?.backward(dOut).x ?? dOut
      const dBias = sumOverRows((i) => dSum.data[i])
      const dWeight = sumOverRows((i) => dSum.data[i] * normalised.data[i])
      const dx = map(dSum, (d, i) => {
        const c = i % channels
        const throughStatistics = training ? (dBias.data[c] + normalised.data[i] * dWeight.data[c]) / rows : 0
        return weight.data[c] * inverseStd.data[c] * (d - throughStatistics)
      })
      return { x: dx, weight: dWeight, bias: dBias, residual: dSum }
    },
  }
}
