/** Several steps of each optimizer's update against float64, so that the state counts too. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { adadeltaStep, sgdStep } from '../../engine/ops/update.ts'
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
