/** Ops on images: batch normalisation, pooling, and the way from bytes to numbers. */
import * as fc from 'fast-check'
import {
  adaptiveAvgPool2d,
  batchNorm2d,
  foldBatchNorm,
  maxPool2d,
  normalizeImages,
  ShapeError,
  scope,
  syncBatchNorm2d,
  Tensor,
} from '../../../engine/index.ts'
import { testDevice } from '../../device.ts'
import { checkOp, ROUNDING, tensor } from '../../ops/check.ts'
import * as batchnorm from '../../reference/batchnorm.ts'
import * as image from '../../reference/image.ts'
import { close, map, type Nd, size } from '../../reference/nd.ts'
import * as pool from '../../reference/pool.ts'
import { extent, finite, type Numbers, numbers, positive, randomOf, rowCount, values } from '../draw.ts'
import { type Family, family } from '../fuzz.ts'
import { kinds } from '../variants.ts'

/** Elements of an image tensor, at most: some milliseconds of a reference. */
const MOST_ELEMENTS = 150_000

interface Images extends Numbers {
  images: number
  height: number
  width: number
  channels: number
}

const sizes = {
  images: fc.oneof({ weight: 3, arbitrary: extent(9) }, rowCount(70)),
  height: fc.oneof(extent(20, 1), extent(70, 1)),
  width: fc.oneof(extent(20, 1), extent(70, 1)),
  channels: extent(140, 1),
  ...numbers,
}

const shapeOf = ({ images, height, width, channels }: Images) => [images, height, width, channels]
const bounded = (drawn: Images) => size(shapeOf(drawn)) <= MOST_ELEMENTS

interface Normalised extends Images {
  training: boolean
  relu: boolean
  residual: boolean
}

const normalised: fc.Arbitrary<Normalised> = fc
  .record({ ...sizes, training: fc.boolean(), relu: fc.boolean(), residual: fc.boolean() })
  .map((drawn) => ({ ...drawn, spiked: drawn.spiked && !drawn.training }))
  .filter(bounded)

/** A variance of few rows that lie close together magnifies the rounding of their mean. */
const tolerance = ({ images, height, width }: Images) => ({ rtol: images * height * width < 8 ? 1e-3 : 3e-5 })

function statistics(drawn: Images) {
  const channels = [drawn.channels]
  const [runningMean, runningVar] = [finite(channels, drawn, 5), positive(channels, drawn, 6)]
  const inputs = {
    x: values(shapeOf(drawn), drawn, 0),
    weight: finite(channels, drawn, 1),
    bias: finite(channels, drawn, 2),
  }
  const running = (like: Tensor) => {
    const [mean, variance] = [runningMean, runningVar].map((y) => Tensor.from(like.device, Float32Array.from(y.data)))
    return { runningMean: mean, runningVar: variance }
  }
  return { inputs, running, fixed: { runningMean, runningVar, momentum: 0.1, eps: 1e-5 } }
}

/** With one value a channel or none there is no variance: an error that says so. */
async function normalise(drawn: Normalised): Promise<void> {
  const { training, relu } = drawn
  const { inputs, running, fixed } = statistics(drawn)
  const row = {
    name: 'batchNorm2d',
    inputs: { ...inputs, ...(drawn.residual && { residual: finite(shapeOf(drawn), drawn, 3) }) } as Record<string, Nd>,
    op: ({ x, weight, bias, residual }: Record<string, Tensor>) =>
      batchNorm2d(x, { weight, bias, residual, ...running(x), training, relu }),
    reference: ({ x, weight, bias, residual }: Record<string, Nd>) =>
      batchnorm.batchNorm2d(x, { weight, bias, residual, ...fixed, training, relu }),
    tolerance: tolerance(drawn),
  }
  const rows = drawn.images * drawn.height * drawn.width
  if (training && rows < 2) await refuses(() => checkOp(row))
  else await checkOp(row)
}

/** Expects a ShapeError. */
async function refuses(run: () => Promise<void>): Promise<void> {
  const error = await run().then(
    () => null,
    (error: unknown) => error,
  )
  if (!(error instanceof ShapeError)) throw error ?? new Error('a ShapeError was expected')
}

/** Over one process, which then has the statistics of the whole batch. */
async function normaliseTogether(drawn: Normalised): Promise<void> {
  const { relu } = drawn
  const { inputs, running, fixed } = statistics(drawn)
  const sync = { counts: true, sum: (values: Promise<Float64Array<ArrayBuffer>>) => values }
  await checkOp({
    name: 'syncBatchNorm2d',
    inputs: { ...inputs, ...(drawn.residual && { residual: finite(shapeOf(drawn), drawn, 3) }) } as Record<string, Nd>,
    op: ({ x, weight, bias, residual }) => syncBatchNorm2d(x, { weight, bias, residual, ...running(x), relu }, sync),
    reference: ({ x, weight, bias, residual }) =>
      batchnorm.batchNorm2d(x, { weight, bias, residual, ...fixed, training: true, relu }),
    tolerance: tolerance(drawn),
  })
}

async function fold(drawn: Images): Promise<void> {
  const { inputs, fixed } = statistics(drawn)
  const [weight, bias, mean, variance] = await Promise.all(
    [inputs.weight, inputs.bias, fixed.runningMean, fixed.runningVar].map(tensor),
  )
  const { scale, shift } = scope(() => foldBatchNorm({ weight, bias, runningMean: mean, runningVar: variance }))
  const expected = map(inputs.weight, (value, c) => value / Math.sqrt(fixed.runningVar.data[c] + fixed.eps))
  close(await scale.read(), expected, ROUNDING, 'scale')
  const shifted = map(inputs.bias, (value, c) => value - fixed.runningMean.data[c] * expected.data[c])
  close(await shift.read(), shifted, ROUNDING, 'shift')
}

interface Pooled extends Images {
  kernelSize: number
  stride: number
  padding: number
  ties: boolean
}

const pooled: fc.Arbitrary<Pooled> = fc
  .record({
    ...sizes,
    kernelSize: fc.integer({ min: 1, max: 7 }),
    stride: fc.integer({ min: 1, max: 5 }),
    padding: fc.integer({ min: 0, max: 3 }),
    ties: fc.boolean(),
  })
  .filter(
    ({ height, width, kernelSize, padding, ...drawn }) =>
      padding <= kernelSize / 2 &&
      Math.min(height, width) + 2 * padding >= kernelSize &&
      bounded({ height, width, ...drawn }),
  )

/** Few distinct values, so that most windows have ties, or spikes. */
const poolMost = (drawn: Pooled): Promise<void> =>
  checkOp({
    name: 'maxPool2d',
    inputs: { x: drawn.ties ? randomOf(drawn).integers(shapeOf(drawn), 4) : values(shapeOf(drawn), drawn) },
    op: ({ x }) => maxPool2d(x, drawn),
    reference: ({ x }) => pool.maxPool2d(x, drawn),
  })

interface Averaged extends Images {
  outHeight: number
  outWidth: number
}

const averaged: fc.Arbitrary<Averaged> = fc
  .record({ ...sizes, outHeight: extent(9, 1), outWidth: extent(9, 1) })
  .filter(
    ({ images, channels, outHeight, outWidth, ...drawn }) =>
      bounded({ images, channels, ...drawn }) && images * channels * outHeight * outWidth <= MOST_ELEMENTS,
  )

const poolMean = (drawn: Averaged): Promise<void> =>
  checkOp({
    name: 'adaptiveAvgPool2d',
    inputs: { x: values(shapeOf(drawn), drawn) },
    op: ({ x }) => adaptiveAvgPool2d(x, [drawn.outHeight, drawn.outWidth]),
    reference: ({ x }) => pool.adaptiveAvgPool2d(x, [drawn.outHeight, drawn.outWidth]),
  })

const bytes = fc.record({ ...sizes, channels: fc.constantFrom(1, 3), spiked: fc.constant(false) }).filter(bounded)

async function normaliseBytes(drawn: Images): Promise<void> {
  const shape = shapeOf(drawn)
  const pixels = Uint8Array.from(randomOf(drawn).integers(shape, 256).data)
  const padded = new Uint8Array(Math.ceil(pixels.length / 4) * 4)
  padded.set(pixels)
  const [mean, std] = [
    [0.485, 0.456, 0.406],
    [0.229, 0.224, 0.225],
  ].map((parts) => parts.slice(0, drawn.channels))
  const packed = Tensor.from(await testDevice(), new Uint32Array(padded.buffer))
  const actual = await scope(() => normalizeImages(packed, { shape, mean, std }).read())
  close(actual, image.normalizeImages(pixels, { shape, mean, std }), ROUNDING)
}

const trained = normalised
  .filter(({ images, height, width }) => images * height * width >= 2)
  .map((drawn) => ({ ...drawn, spiked: false }))

export const imageFamilies: readonly Family[] = [
  family({ name: 'batchNorm2d', variants: kinds, cases: normalised, check: normalise }),
  family({ name: 'syncBatchNorm2d', variants: kinds, cases: trained, check: normaliseTogether }),
  family({ name: 'foldBatchNorm', variants: kinds.slice(0, 1), cases: trained, check: fold }),
  family({ name: 'maxPool2d', variants: kinds, cases: pooled, check: poolMost }),
  family({ name: 'adaptiveAvgPool2d', variants: kinds, cases: averaged, check: poolMean }),
  family({ name: 'normalizeImages', variants: kinds, cases: bytes, check: normaliseBytes }),
]
