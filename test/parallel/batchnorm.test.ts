/** Batch normalisation over the batch of several ranks, against the reference on the whole. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { backward, type Device, scope, syncBatchNorm2d, Tensor } from '../../engine/index.ts'
import { ROUNDING } from '../ops/check.ts'
import * as reference from '../reference/batchnorm.ts'
import { close, map, type Nd, nd, Random } from '../reference/nd.ts'
import { asRanks, closeRanks } from './ranks.ts'

const test = suite('batchnorm over ranks')
const random = new Random(23)

const onGpu = (device: Device, { data, shape }: Nd) => Tensor.from(device, Float32Array.from(data), shape)

/** Images by rank; a rank without any goes along with two that do not count. */
const DIVISIONS = [[5], [3, 2], [2, 2, 1], [2, 1, 2, 0]]

for (const division of DIVISIONS)
  for (const [channels, withResidual] of [
    [8, true],
    [7, false],
  ] as const)
    test(`${division.join(' + ')} images of ${channels} channels${withResidual ? ', residual and clamp' : ''}`, async () => {
      const [H, W] = [3, 5]
      const images = 5
      const shape = [images, H, W, channels]
      // Far from zero, where statistics that are joined carelessly lose their digits.
      const x = map(random.normal(shape), (value) => Math.fround(50 + value))
      const [residual, dy] = [random.normal(shape), random.normal(shape)]
      const [weight, bias] = [random.normal([channels]), random.normal([channels])]
      const start = { runningMean: nd([channels]), runningVar: map(nd([channels]), () => 1) }
      const after = withResidual ? { residual, relu: true } : {}
      const options = { weight, bias, ...start, ...after, training: true, momentum: 0.1, eps: 1e-5 }
      const expected = reference.batchNorm2d(x, options)
      const grads = expected.backward(dy)

      const perImage = H * W * channels
      const ranks = await asRanks(division.length, async (comm, device) => {
        const counts = division[comm.rank] > 0
        const first = division.slice(0, comm.rank).reduce((sum, n) => sum + n, 0)
        const own = (from: Nd, fill: number) => {
          const data = counts
            ? from.data.slice(first * perImage, (first + division[comm.rank]) * perImage)
            : new Float64Array(2 * perImage).fill(fill)
          return onGpu(device, nd([data.length / perImage, H, W, channels], [...data]))
        }
        const leaves = [own(x, 3), onGpu(device, weight), onGpu(device, bias), own(residual, 0)]
        for (const leaf of leaves) leaf.requiresGrad = true
        const [gpuX, gpuWeight, gpuBias, gpuResidual] = leaves
        const running = [onGpu(device, start.runningMean), onGpu(device, start.runningVar)]
        const y = scope(() => {
          const after = withResidual ? { residual: gpuResidual, relu: true } : {}
          const statistics = { runningMean: running[0], runningVar: running[1] }
          const sync = { counts, sum: (values: Promise<Float64Array<ArrayBuffer>>) => comm.sum(values) }
          const y = syncBatchNorm2d(gpuX, { weight: gpuWeight, bias: gpuBias, ...statistics, ...after }, sync)
          backward(y, own(dy, 0))
          return y.read()
        })
        const reads = [y, ...leaves.map(({ grad }) => grad?.read()), ...running.map((tensor) => tensor.read())]
        const [out, dx, dWeight, dBias, dResidual, mean, variance] = await Promise.all(reads)
        return {
          counts,
          out: out!,
          dx: dx!,
          dWeight: dWeight!,
          dBias: dBias!,
          dResidual,
          mean: mean!,
          variance: variance!,
        }
      })

      const joined = (part: (rank: (typeof ranks)[0]) => Float32Array) =>
        Float32Array.from(ranks.filter(({ counts }) => counts).flatMap((rank) => [...part(rank)]))
      const summed = (part: (rank: (typeof ranks)[0]) => Float32Array) =>
        Float32Array.from({ length: channels }, (_, c) => ranks.reduce((sum, rank) => sum + part(rank)[c], 0))
      // The mean is rounded to float32: by 50 · 2^-24, against a standard deviation of 1.
      const tolerance = { rtol: 1e-4, atol: 2e-5 }
      close(
        joined(({ out }) => out),
        expected.out,
        tolerance,
        'out',
      )
      close(
        joined(({ dx }) => dx),
        grads.x,
        tolerance,
        'dx',
      )
      close(
        summed(({ dWeight }) => dWeight),
        grads.weight,
        { rtol: 1e-4, atol: 2e-4 },
        'dWeight',
      )
      close(
        summed(({ dBias }) => dBias),
        grads.bias,
        ROUNDING,
        'dBias',
      )
      if (withResidual)
        close(
          joined(({ dResidual }) => dResidual!),
          grads.residual,
          ROUNDING,
          'dResidual',
        )
      for (const { mean, variance } of ranks) {
        close(mean, expected.runningMean, ROUNDING, 'running mean')
        close(variance, expected.runningVar, ROUNDING, 'running variance')
      }
      for (const { dx } of ranks.filter(({ counts }) => !counts)) assert.ok(dx.every((value) => value === 0))
    })

test.after(closeRanks)
test.run()
