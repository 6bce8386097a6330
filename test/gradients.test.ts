/**
 * Backward through whole small networks against central differences of their loss: ops together, where the tests of
 * test/ops see each alone.
 */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import {
  adaptiveAvgPool2d,
  add,
  addRelu,
  backward,
  batchNorm2d,
  conv2d,
  crossEntropy,
  dropConnectLinear,
  dropout,
  flatten,
  kakuritsuLinear,
  linear,
  logSoftmax,
  maxPool2d,
  nllLoss,
  noGrad,
  relu,
  scope,
  type Tensor,
  scale as times,
} from '../engine/index.ts'
import { tensor, whole } from './ops/check.ts'
import { dot, map, type Nd, nd, Random, size } from './reference/nd.ts'

/**
 * How far each element is moved along a direction of standard normal numbers. A loss near 4 is rounded to some 2e-7, its
 * slope then to 2e-7 / (2 · STEP) = 1e-4, against slopes of 0.01 to 10.
 */
const STEP = 1e-3

/**
 * Allowed error of the slope, as a part of the gradient's length, which is the slope's standard deviation over such
 * directions. One of some hundred windows of a pool whose maximum changes place within the step makes a few percent of
 * difference; smooth networks agree to 0.001.
 */
const ALLOWED = 0.05

const test = suite('gradients')

/** Checks the gradient of `loss` with respect to each parameter along three random directions. */
async function check(parameters: Record<string, Nd>, loss: (parameters: Record<string, Tensor>) => Tensor) {
  const random = new Random(23)
  const gpu: Record<string, Tensor> = {}
  for (const [name, values] of Object.entries(parameters)) {
    gpu[name] = await tensor(values)
    gpu[name].requiresGrad = true
  }
  scope(() => backward(loss(gpu)))
  const lossAt = (name: string, direction: Nd, step: number): Promise<number> => {
    gpu[name].write(Float32Array.from(map(parameters[name], (value, i) => value + step * direction.data[i]).data))
    return scope(() => noGrad(() => loss(gpu)).item())
  }
  for (const [name, values] of Object.entries(parameters)) {
    const gradient = nd(values.shape, await gpu[name].grad!.read())
    const length = Math.sqrt(dot(gradient, gradient))
    assert.ok(length > 0.01, `the loss depends on ${name}, its gradient's length is ${length}`)
    for (let trial = 0; trial < 3; trial++) {
      const direction = random.normal(values.shape)
      const slope = ((await lossAt(name, direction, STEP)) - (await lossAt(name, direction, -STEP))) / (2 * STEP)
      const expected = dot(gradient, direction)
      const message = `${name}: the loss changes by ${slope}, the gradient says ${expected}, its length is ${length}`
      assert.ok(Math.abs(slope - expected) <= ALLOWED * length, message)
    }
    gpu[name].write(Float32Array.from(values.data))
  }
}

const random = new Random(19)

/** Weights under which a layer keeps the size of what it is given: variance 2 / fan-in (He et al. 2015). */
function weights(...shape: number[]): Nd {
  const fanIn = size(shape) / shape[shape.length - 1]
  return map(random.normal(shape), (value) => value * Math.sqrt(2 / fanIn))
}

/** The last weights, so large that the loss has slopes well above its rounding. */
const steep = (...shape: number[]): Nd => map(weights(...shape), (value) => 4 * value)

const near = (center: number, channels: number): Nd => map(random.normal([channels]), (value) => center + 0.1 * value)

/**
 * Scale and shift of a normalisation in front of a ReLU: it passes even channels and stops odd ones, with few values so
 * near to 0 that a step could change their side, where a difference is no slope.
 */
const scale = (channels: number): Nd => map(near(0, channels), (value) => 0.25 + value / 4)
const shift = (channels: number): Nd => map(near(0, channels), (value, i) => (i % 2 === 0 ? 1 : -1) + value)

const statistics = async (channels: number) => ({
  runningMean: await tensor(near(0, channels)),
  runningVar: await tensor(near(1, channels)),
})

test('convolution, batch normalisation, ReLU, pooling, linear, cross-entropy', async () => {
  const labels = random.integers([5], 7)
  const fixed = await statistics(9)
  await check(
    {
      x: random.normal([5, 11, 10, 3]),
      conv: weights(3, 3, 3, 9),
      convBias: near(0, 9),
      weight: scale(9),
      bias: shift(9),
      fc: steep(36, 7),
      fcBias: near(0, 7),
    },
    ({ x, conv, convBias, weight, bias, fc, fcBias }) => {
      const convolved = conv2d(x, conv, { bias: convBias, padding: 1 })
      const normal = batchNorm2d(convolved, { weight, bias, ...fixed, training: false })
      const pooled = maxPool2d(relu(normal), { kernelSize: 3, stride: 2, padding: 1 })
      const features = flatten(adaptiveAvgPool2d(pooled, [2, 2]))
      return crossEntropy(linear(features, fc, fcBias), whole(x, labels))
    },
  )
})

type Tensors = Record<string, Tensor>
type Statistics = Awaited<ReturnType<typeof statistics>>

/** A residual block, normalised first with the batch's statistics, then with constants. */
const blocks: Record<string, (parameters: Tensors, moving: Statistics, fixed: Statistics) => Tensor> = {
  'op by op': ({ x, conv1, conv2, shortcut, weight1, bias1, weight2, bias2 }, moving, fixed) => {
    const normal1 = { weight: weight1, bias: bias1, ...moving, training: true }
    // On constants: behind batch statistics the loss would hardly feel bias1, which shifts whole channels.
    const normal2 = { weight: weight2, bias: bias2, ...fixed, training: false }
    const inner = relu(batchNorm2d(conv2d(x, conv1), normal1))
    const main = batchNorm2d(conv2d(inner, conv2, { stride: 2, padding: 1, groups: 2 }), normal2)
    return addRelu(main, conv2d(x, shortcut, { stride: 2 }))
  },
  fused: ({ x, conv1, conv2, shortcut, weight1, bias1, weight2, bias2 }, moving, fixed) => {
    const normal1 = { weight: weight1, bias: bias1, ...moving, training: true }
    const normal2 = { weight: weight2, bias: bias2, ...fixed, training: false }
    const inner = batchNorm2d(conv2d(x, conv1), { ...normal1, relu: true })
    const residual = conv2d(x, shortcut, { stride: 2 })
    const convolved = conv2d(inner, conv2, { stride: 2, padding: 1, groups: 2 })
    return batchNorm2d(convolved, { ...normal2, residual, relu: true })
  },
}

for (const [name, block] of Object.entries(blocks))
  test(`a residual block, ${name}, batch statistics, groups, a strided shortcut`, async () => {
    const labels = random.integers([6], 5)
    const [moving, fixed] = await Promise.all([statistics(8), statistics(8)])
    await check(
      {
        x: random.normal([6, 9, 9, 4]),
        conv1: weights(1, 1, 4, 8),
        conv2: weights(3, 3, 4, 8),
        shortcut: map(weights(1, 1, 4, 8), (value) => 0.2 * value),
        weight1: scale(8),
        bias1: shift(8),
        weight2: scale(8),
        bias2: shift(8),
        fc: steep(8, 5),
      },
      ({ fc, ...parameters }) => {
        const out = block(parameters, moving, fixed)
        // out is used twice, so that its gradient is a sum.
        const features = flatten(adaptiveAvgPool2d(add(out, relu(out)), [1, 1]))
        return crossEntropy(linear(features, fc), whole(features, labels))
      },
    )
  })

test('a head of Kakuritsu layers and dropout under fixed masks, log-softmax, NLL', async () => {
  const labels = random.integers([9], 6)
  const maskGradient = 'exact'
  await check({ x: random.normal([9, 20]), li1: weights(20, 33), li2: weights(33, 6) }, ({ x, li1, li2 }) => {
    const hidden = relu(kakuritsuLinear(x, li1, 0.5, { key: { seed: 1, layer: 0, step: 0 }, maskGradient }))
    const dropped = dropout(hidden, 0.25, { key: { seed: 1, layer: 1, step: 0 } })
    const logits = kakuritsuLinear(dropped, li2, 0.7, { key: { seed: 1, layer: 2, step: 0 }, maskGradient })
    return nllLoss(logSoftmax(logits), whole(x, labels))
  })
})

test('a head whose masks are shared and whose sums are divided by p', async () => {
  const labels = random.integers([9], 6)
  const maskGradient = 'exact'
  await check({ x: random.normal([9, 20]), li1: weights(20, 33), li2: weights(33, 6) }, ({ x, li1, li2 }) => {
    const hidden = dropConnectLinear(x, li1, 0.5, { key: { seed: 1, layer: 0, step: 0 }, maskGradient })
    const logits = dropConnectLinear(relu(times(hidden, 1 / 0.5)), li2, 0.7, {
      key: { seed: 1, layer: 1, step: 0 },
      maskGradient,
    })
    return crossEntropy(times(logits, 1 / 0.7), whole(x, labels))
  })
})

test.run()
