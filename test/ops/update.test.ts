/** Several steps of each optimizer's update against float64, so that the state counts too. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { adadeltaStep, SGD_SMALL, sgdStep, sgdSteps } from '../../engine/ops/update.ts'
import { close, nd, Random } from '../reference/nd.ts'
import * as reference from '../reference/update.ts'
import { ROUNDING, tensor } from './check.ts'

const test = suite('update')
const STEPS = 5

for (const shape of [[1], [33, 7, 5]])
  for (const options of [
    { lr: 0.1, momentum: 0.9, weightDecay: 0.01 },
    { lr: 0.5, momentum: 0, weightDecay: 0 },
  ])
    test(`sgdStep [${shape}] with momentum ${options.momentum}`, async () => {
      const random = new Random(13)
      let expected = { param: random.normal(shape), velocity: nd(shape) }
      const [param, velocity] = [await tensor(expected.param), await tensor(expected.velocity)]
      for (let step = 0; step < STEPS; step++) {
        const grad = random.normal(shape)
        sgdStep(param, await tensor(grad), velocity, options)
        expected = reference.sgdStep(expected.param, grad, expected.velocity, options)
      }
      close(await param.read(), expected.param, ROUNDING, 'parameter')
      close(await velocity.read(), expected.velocity, ROUNDING, 'velocity')
    })

test('sgdSteps moves many parameters, small and large, to the bits of single steps', async () => {
  const options = { lr: 0.1, momentum: 0.9, weightDecay: 0.01 }
  const random = new Random(19)
  const sizes = [1, 7, 64, SGD_SMALL, SGD_SMALL + 1, 257, 4, 1000, 33, 2 * SGD_SMALL, 512, 5, 63, 3]
  const values = sizes.map((size) => [0, 1, 2].map(() => random.normal([size])))
  const copies = [0, 1].map(async () => {
    const parts = values.map(async ([param, grad, velocity]) => ({
      param: await tensor(param),
      grad: await tensor(grad),
      velocity: await tensor(velocity),
    }))
    return Promise.all(parts)
  })
  const [one, many] = await Promise.all(copies)
  for (const { param, grad, velocity } of one) sgdStep(param, grad, velocity, options)
  sgdSteps(many, options)
  for (const [i, { param, velocity }] of many.entries()) {
    assert.equal(await param.read(), await one[i].param.read(), `parameter of ${sizes[i]}`)
    assert.equal(await velocity.read(), await one[i].velocity.read(), `velocity of ${sizes[i]}`)
  }
})

for (const shape of [[1], [33, 7, 5]])
  test(`adadeltaStep [${shape}]`, async () => {
    const options = { lr: 1, rho: 0.9, eps: 1e-6, weightDecay: 0.01 }
    const random = new Random(17)
    let expected = { param: random.normal(shape), squareAverage: nd(shape), deltaAverage: nd(shape) }
    const [param, squareAverage, deltaAverage] = await Promise.all(Object.values(expected).map(tensor))
    for (let step = 0; step < STEPS; step++) {
      const grad = random.normal(shape)
      adadeltaStep(param, await tensor(grad), { squareAverage, deltaAverage }, options)
      expected = reference.adadeltaStep(expected.param, grad, expected, options)
    }
    close(await param.read(), expected.param, ROUNDING, 'parameter')
    close(await squareAverage.read(), expected.squareAverage, ROUNDING, 'E[g²]')
    close(await deltaAverage.read(), expected.deltaAverage, ROUNDING, 'E[Δ²]')
  })

test('refuses a gradient of another shape', async () => {
  const param = await tensor(nd([2, 3]))
  const grad = await tensor(nd([3, 2]))
  const options = { lr: 1, momentum: 0, weightDecay: 0 }
  assert.throws(() => sgdStep(param, grad, param, options), /grad is \[3, 2\], the parameter \[2, 3\]/)
})

test.run()
