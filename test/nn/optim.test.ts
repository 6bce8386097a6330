import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { Tensor } from '../../engine/index.ts'
import { Adadelta, constant, type Optimizer, Parameter, SGD, StateError, StepLR } from '../../nn/index.ts'
import { testDevice } from '../device.ts'
import { close, type Nd, nd, Random } from '../reference/nd.ts'
import * as reference from '../reference/update.ts'

const device = await testDevice()
const test = suite('optim')
const SHAPES = [[5, 7], [3, 3, 2, 4], [9]]

/** Float32 rounds by 6e-8; a step has some ten operations, and five steps follow each other. */
const ROUNDING = { rtol: 1e-5 }

/** A parameter on the device that holds `x`. */
function parameter({ shape, data }: Nd): Parameter {
  const layout = shape.length === 4 ? 'conv' : shape.length === 2 ? 'linear' : 'same'
  return new Parameter(shape, {
    layout,
    init: constant(0),
    tensor: Tensor.from(device, Float32Array.from(data), shape),
  })
}

function giveGradients(params: readonly Parameter[], random: Random): Nd[] {
  return params.map((param) => {
    const grad = random.normal(param.shape)
    param.zeroGrad()
    param.tensor.grad = Tensor.from(device, Float32Array.from(grad.data), param.shape)
    return grad
  })
}

test('SGD and StepLR go as PyTorch does, over changes of the learning rate', async () => {
  const random = new Random(3)
  const start = SHAPES.map((shape) => random.normal(shape))
  const params = start.map(parameter)
  const optimizer = new SGD(params, { lr: 0.5, momentum: 0.9, weightDecay: 0.01 })
  const schedule = new StepLR(optimizer, 2, 0.1)
  let expected = start.map((param) => ({ param, velocity: nd(param.shape) }))
  // StepLR's rates by its definition: lr · gamma^⌊epoch / stepSize⌋.
  for (const lr of [0.5, 0.5, 0.05, 0.05, 0.005]) {
    assert.ok(Math.abs(optimizer.lr / lr - 1) < 1e-12, `${optimizer.lr}, not ${lr}`)
    const grads = giveGradients(params, random)
    optimizer.step()
    schedule.step()
    const options = { lr, momentum: 0.9, weightDecay: 0.01 }
    expected = expected.map(({ param, velocity }, i) => reference.sgdStep(param, grads[i], velocity, options))
  }
  for (const [i, { param }] of expected.entries()) close(await params[i].tensor.read(), param, ROUNDING, `${i}`)
})

test('Adadelta goes as PyTorch does', async () => {
  const random = new Random(4)
  const start = SHAPES.map((shape) => random.normal(shape))
  const params = start.map(parameter)
  const optimizer = new Adadelta(params, { lr: 0.7, weightDecay: 0.01 })
  const options = { lr: 0.7, rho: 0.9, eps: 1e-6, weightDecay: 0.01 }
  let expected = start.map((param) => ({ param, squareAverage: nd(param.shape), deltaAverage: nd(param.shape) }))
  for (let step = 0; step < 5; step++) {
    const grads = giveGradients(params, random)
    optimizer.step()
    expected = expected.map((state, i) => reference.adadeltaStep(state.param, grads[i], state, options))
  }
  for (const [i, { param }] of expected.entries()) close(await params[i].tensor.read(), param, ROUNDING, `${i}`)
})

test('leaves a parameter without a gradient alone, weight decay and all', async () => {
  const params = [parameter(nd([2], [1, 2])), parameter(nd([2], [1, 2]))]
  const optimizer = new SGD(params, { lr: 1, weightDecay: 0.5 })
  params[0].tensor.grad = Tensor.from(device, Float32Array.of(1, 0))
  optimizer.step()
  assert.equal([...(await params[0].tensor.read())], [-0.5, 1])
  assert.equal([...(await params[1].tensor.read())], [1, 2])
  optimizer.zeroGrad()
  assert.is(params[0].grad, null)
})

const kinds: Record<string, (params: Parameter[]) => Optimizer> = {
  SGD: (params) => new SGD(params, { lr: 0.1, momentum: 0.9, weightDecay: 1e-4 }),
  Adadelta: (params) => new Adadelta(params),
}

for (const [name, make] of Object.entries(kinds))
  test(`${name} goes on from a saved state bit for bit`, async () => {
    const start = SHAPES.map((shape) => new Random(5).normal(shape))
    const params = start.map(parameter)
    const optimizer = make(params)
    const step = (params: Parameter[], optimizer: Optimizer, seed: number) => {
      giveGradients(params, new Random(seed))
      optimizer.step()
    }
    step(params, optimizer, 1)
    step(params, optimizer, 2)
    optimizer.lr = 0.01
    const saved = await optimizer.stateDict()
    const values = await Promise.all(params.map(({ tensor }) => tensor.read()))
    step(params, optimizer, 3)

    const resumedParams = values.map((data, i) => parameter(nd(SHAPES[i], data)))
    const resumed = make(resumedParams)
    resumed.loadStateDict(saved)
    assert.equal(await resumed.stateDict(), saved)
    step(resumedParams, resumed, 3)
    assert.is(resumed.lr, 0.01)
    for (const [i, { tensor }] of params.entries())
      assert.equal(await resumedParams[i].tensor.read(), await tensor.read())
  })

test("state has PyTorch's names and layout; a state of something else is refused", async () => {
  const params = SHAPES.map((shape) => parameter(new Random(6).normal(shape)))
  const saved = await kinds.SGD(params).stateDict()
  assert.equal(
    [...saved.tensors].map(([name, { shape }]) => `${name} [${shape}]`),
    ['state.0.momentum_buffer [7,5]', 'state.1.momentum_buffer [4,2,3,3]', 'state.2.momentum_buffer [9]'],
  )
  assert.throws(() => kinds.Adadelta(params).loadStateDict(saved), /the state is of SGD, this optimizer is Adadelta/)
  assert.throws(
    () => kinds.SGD(params.slice(1)).loadStateDict(saved),
    (error: Error) => error instanceof StateError && /state\.2\.momentum_buffer, which/.test(error.message),
  )
  const settings = { lr: 1, momentum: 0 }
  assert.throws(() => kinds.SGD(params).loadStateDict({ ...saved, settings }), /the state of SGD lacks weightDecay/)
})

test('StepLR resumes, and refuses a step of no epochs', () => {
  const optimizer = new SGD([], { lr: 1 })
  const schedule = new StepLR(optimizer, 3)
  schedule.step()
  schedule.step()
  const resumed = new StepLR(optimizer, 30)
  resumed.loadStateDict(schedule.stateDict())
  resumed.step()
  assert.is(optimizer.lr, 0.1)
  assert.throws(() => new StepLR(optimizer, 0), /whole number of epochs/)
})

test.run()
