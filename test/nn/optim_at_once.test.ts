/** Weights that the kernels of their gradients move at once: to the bits of steps made after those. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { backward, batchNorm2d, conv2d, linear, scope, Tensor } from '../../engine/index.ts'
import { forceGemmVariant, gemmVariant } from '../../engine/ops/gemm_variants.ts'
import { Adadelta, constant, type Optimizer, Parameter, SGD } from '../../nn/index.ts'
import { testDevice } from '../device.ts'
import { ROUNDING } from '../ops/check.ts'
import * as convolution from '../reference/conv2d.ts'
import { linear as linearReference } from '../reference/matmul.ts'
import { close, type Nd, nd, Random } from '../reference/nd.ts'
import { sgdStep } from '../reference/update.ts'

const device = await testDevice()

type Op = (x: Tensor, weight: Tensor) => Tensor

/** One for each step. */
const RATES = [0.1, 0.05, 0.01]
const SETTINGS = { momentum: 0.9, weightDecay: 0.01 }

interface Training {
  op: Op
  x: Nd
  weight: Nd
  /** The gradient of each step's result. */
  gradients: Nd[]
}

const gpu = ({ shape, data }: Nd): Tensor => Tensor.from(device, Float32Array.from(data), shape)

/** The optimizer as the receiver of leaves, and those that it is told are complete: none that a kernel has moved. */
function noting(optimizer: Optimizer) {
  const completed: Tensor[] = []
  const complete = (leaf: Tensor) => {
    completed.push(leaf)
    optimizer.complete(leaf)
  }
  return { completed, receiver: { complete, updateOf: (leaf: Tensor) => optimizer.updateOf(leaf) } }
}

/** What steps leave: the weight, what the optimizer keeps for it, and the gradients of x. */
async function train({ op, x, weight, gradients }: Training, atOnce: boolean, make = sgd, passes = 1) {
  const param = new Parameter(weight.shape, { init: constant(0), tensor: gpu(weight) })
  const optimizer = make([param])
  const { receiver, completed } = noting(optimizer)
  const dx: Promise<Float32Array>[] = []
  for (const [step, lr] of RATES.entries()) {
    optimizer.lr = lr
    scope(() => {
      const input = gpu(x)
      input.requiresGrad = true
      for (let pass = 1; pass <= passes; pass++)
        backward(op(input, param.tensor), gpu(gradients[step]), atOnce && pass === passes ? receiver : undefined)
      dx.push(input.grad!.read())
      input.grad!.release()
    })
    optimizer.step()
    assert.is(atOnce && param.grad !== null, false, 'the gradient is forgotten')
    optimizer.zeroGrad()
  }
  const kept = [...(await optimizer.stateDict()).tensors.values()].map(({ data }) => data)
  const moved = !completed.includes(param.tensor)
  const results = { weight: await param.tensor.read(), kept, dx: await Promise.all(dx), moved }
  optimizer.free()
  param.free()
  return results
}

const sgd = (params: Parameter[]): Optimizer => new SGD(params, { lr: 0, ...SETTINGS })

/** Trains both ways. @returns what came out, and whether the kernel moved the weight */
async function sameBits(training: Training, make = sgd, passes = 1) {
  const { moved, ...atOnce } = await train(training, true, make, passes)
  const { moved: _, ...after } = await train(training, false, make, passes)
  assert.equal(atOnce, after)
  return { ...atOnce, moved }
}

interface Case {
  x: number[]
  weight: number[]
  /** Of a convolution; a linear layer has none. */
  options?: convolution.Conv2dOptions
  /** Whether the kernels can: where one dispatch makes all of the sum, the subgroup kernel only in fours. */
  moves: { tiled: boolean; subgroup: boolean }
}

const all = { tiled: true, subgroup: true }
const none = { tiled: false, subgroup: false }
const CASES: Case[] = [
  { x: [1, 1, 1, 1], weight: [1, 1, 1, 1], options: {}, moves: { ...all, subgroup: false } },
  { x: [2, 7, 5, 8], weight: [1, 1, 8, 12], options: {}, moves: all },
  { x: [2, 8, 7, 36], weight: [3, 3, 36, 68], options: { padding: 1 }, moves: all },
  { x: [1, 12, 11, 36], weight: [3, 3, 36, 8], options: { stride: 2, padding: 1 }, moves: all },
  { x: [2, 7, 6, 3], weight: [3, 3, 3, 7], options: { padding: 1 }, moves: { ...all, subgroup: false } },
  { x: [2, 7, 6, 33], weight: [2, 3, 33, 4], options: {}, moves: { ...all, subgroup: false } },
  // Rows for several slices; taps that see nothing but padding.
  { x: [1, 40, 39, 4], weight: [1, 1, 4, 4], options: {}, moves: none },
  { x: [2, 1, 1, 20], weight: [3, 3, 20, 8], options: { padding: 1 }, moves: none },
  { x: [33, 20], weight: [20, 36], moves: all },
  { x: [7, 132], weight: [132, 260], moves: all },
  { x: [7, 33], weight: [33, 5], moves: { ...all, subgroup: false } },
]

for (const variant of ['tiled', 'subgroup'] as const) {
  const random = new Random(31)
  const test = suite(`optimizers at once, ${variant}`)
  test.before(() => forceGemmVariant(variant))
  test.after(() => forceGemmVariant(null))

  for (const { x: shape, weight: weightShape, options, moves } of CASES)
    test(`[${shape}] * [${weightShape}] ${JSON.stringify(options) ?? ''}`, async () => {
      const [x, weight] = [random.normal(shape), random.normal(weightShape)]
      const reference = (weight: Nd) =>
        options ? convolution.conv2d(x, weight, undefined, options) : linearReference(x, weight)
      const gradients = RATES.map(() => random.normal(reference(weight).out.shape))
      const op: Op = options ? (x, weight) => conv2d(x, weight, options) : (x, weight) => linear(x, weight)
      const { moved, ...results } = await sameBits({ op, x, weight, gradients })
      assert.is(moved, moves[gemmVariant(device)])

      let expected = { param: weight, velocity: nd(weight.shape) }
      for (const [step, lr] of RATES.entries()) {
        const grads = reference(expected.param).backward(gradients[step])
        close(results.dx[step], grads.x, ROUNDING, `gradient of x in step ${step}`)
        expected = sgdStep(expected.param, grads.weight, expected.velocity, { lr, ...SETTINGS })
      }
      close(results.weight, expected.param, ROUNDING, 'weight')
    })

  test.run()
}

const random = new Random(32)
const test = suite('optimizers at once')
const square = { x: random.normal([8, 20]), weight: random.normal([20, 20]) }
const gradients = RATES.map(() => random.normal([8, 20]))

test('a weight that is used twice is moved when both gradients are there', async () => {
  const op: Op = (x, weight) => linear(linear(x, weight), weight)
  assert.is((await sameBits({ ...square, op, gradients })).moved, false)
})

test('a gradient that adds to one of an earlier pass does not move the weight by itself', async () => {
  assert.is((await sameBits({ ...square, op: (x, weight) => linear(x, weight), gradients }, sgd, 2)).moved, false)
})

test('Adadelta is given its gradients', async () => {
  const make = (params: Parameter[]): Optimizer => new Adadelta(params)
  assert.is((await sameBits({ ...square, op: (x, weight) => linear(x, weight), gradients }, make)).moved, false)
})

test('of two optimizers each moves its own weights', async () => {
  const op: Op = (x, weight) => linear(x, weight)
  const [mine, other] = [square.weight, square.weight].map(
    (weight) => new Parameter(weight.shape, { init: constant(0), tensor: gpu(weight) }),
  )
  const optimizer = new SGD([mine], { lr: 0.1 })
  scope(() => backward(op(op(gpu(square.x), mine.tensor), other.tensor), gpu(gradients[0]), optimizer))
  assert.is(mine.grad, null)
  assert.is.not(other.grad, null)
  assert.equal(await other.tensor.read(), Float32Array.from(square.weight.data))
  assert.not.equal(await mine.tensor.read(), Float32Array.from(square.weight.data))
  optimizer.free()
  for (const param of [mine, other]) param.free()
})

test.run()

/** Steps of a normalisation's weight and bias: what they leave, with the gradients of x, and whether the kernel made them. */
async function normalise(shape: number[], { relu, residual }: { relu: boolean; residual: boolean }, atOnce: boolean) {
  const random = new Random(7)
  const channels = shape[3]
  const some = (shape: number[]) => gpu(random.normal(shape))
  const params = ['weight', 'bias'].map(
    () => new Parameter([channels], { init: constant(0), tensor: some([channels]) }),
  )
  const optimizer = new SGD(params, { lr: 0, ...SETTINGS })
  const [runningMean, runningVar] = [Tensor.zeros(device, [channels]), Tensor.zeros(device, [channels])]
  const { receiver, completed } = noting(optimizer)
  const dx: Promise<Float32Array>[] = []
  for (const lr of RATES) {
    optimizer.lr = lr
    scope(() => {
      const [input, added, gradient] = [some(shape), some(shape), some(shape)]
      input.requiresGrad = true
      const [weight, bias] = params.map(({ tensor }) => tensor)
      const options = { weight, bias, runningMean, runningVar, training: true, relu }
      const y = batchNorm2d(input, residual ? { ...options, residual: added } : options)
      backward(y, gradient, atOnce ? receiver : undefined)
      dx.push(input.grad!.read())
      input.grad!.release()
    })
    optimizer.step()
    optimizer.zeroGrad()
  }
  const kept = [...(await optimizer.stateDict()).tensors.values()].map(({ data }) => data)
  const moved = !params.some(({ tensor }) => completed.includes(tensor))
  const values = await Promise.all(params.map(({ tensor }) => tensor.read()))
  optimizer.free()
  for (const param of params) param.free()
  return { values, kept, dx: await Promise.all(dx), moved }
}

const normalisation = suite('optimizers at once, batchNorm2d')

for (const channels of [1, 5, 36])
  for (const after of [
    { relu: false, residual: false },
    { relu: true, residual: false },
    { relu: true, residual: true },
  ])
    normalisation(`${channels} channels ${JSON.stringify(after)}`, async () => {
      const shape = [2, 3, 5, channels]
      const { moved, ...atOnce } = await normalise(shape, after, true)
      const { moved: _, ...later } = await normalise(shape, after, false)
      assert.is(moved, device.limits.maxStorageBuffersPerShaderStage >= 10)
      assert.equal(atOnce, later)
      assert.ok(atOnce.kept.length === 2 && atOnce.values.flatMap((x) => [...x]).every(Number.isFinite))
    })

normalisation.run()
