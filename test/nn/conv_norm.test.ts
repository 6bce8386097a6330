/** Convolution and BatchNorm together: the folded form must be what the two are one after the other, whatever happened before. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { add, backward, countTensors, noGrad, relu, scope, Tensor } from '../../engine/index.ts'
import { BatchNorm2d, Conv2d, ConvNorm, convNorm, SGD } from '../../nn/index.ts'
import { testDevice } from '../device.ts'
import { close, nd, Random, type Tolerance } from '../reference/nd.ts'

/** The fold rounds in other places: a few of float32's 6e-8, times the some 10 by which the terms exceed the result. */
const FOLD: Tolerance = { rtol: 5e-6 }

const test = suite('convNorm')
const random = new Random(3)
const device = await testDevice()

/** Runs `make`, records nothing and frees what it makes. */
const pass = (make: () => unknown) =>
  scope(() => {
    noGrad(make)
  })

const make = (shape: number[]) => Tensor.from(device, Float32Array.from(random.normal(shape).data), shape)

/** A convolution and a BatchNorm that has seen a batch. */
function layers({ groups = 1, bias = false } = {}) {
  const [conv, bn] = [new Conv2d(8, 12, 3, { padding: 1, groups, bias }), new BatchNorm2d(12)]
  conv.to(device, { seed: 1 })
  bn.to(device, { seed: 2 })
  pass(() => convNorm(make([3, 5, 7, 8]), conv, bn))
  return { conv, bn }
}

/** Compares with conv, BatchNorm, add and relu one after the other, in eval mode. */
async function check({ conv, bn }: { conv: Conv2d; bn: BatchNorm2d }): Promise<void> {
  bn.eval()
  const [x, residual] = [make([2, 5, 7, 8]), make([2, 5, 7, 12])]
  const [folded, chain] = scope(() =>
    noGrad(() => [
      convNorm(x, conv, bn, { residual, relu: true }).read(),
      relu(add(bn.call(conv.call(x)), residual)).read(),
    ]),
  )
  const expected = await chain
  close(await folded, nd([2, 5, 7, 12], expected), FOLD)
}

test('folds to the same', () => check(layers()))
test('folds to the same in groups', () => check(layers({ groups: 4 })))
test('does not fold a bias away', () => check(layers({ bias: true })))

test('folds anew after training, a step of the optimizer, another state', async () => {
  const { conv, bn } = layers()
  await check({ conv, bn })

  bn.train()
  const optimizer = new SGD([...conv.parameters(), ...bn.parameters()], { lr: 0.1 })
  const x = make([3, 5, 7, 8])
  scope(() => {
    const y = convNorm(x, conv, bn, { relu: true })
    backward(y, make([3, 5, 7, 12]))
    // The running statistics have moved, the parameters not yet.
    bn.eval()
    noGrad(() => convNorm(x, conv, bn))
    optimizer.step()
  })
  await check({ conv, bn })

  const other = layers()
  pass(() => convNorm(make([3, 5, 7, 8]), other.conv, other.bn))
  bn.loadStateDict(await other.bn.stateDict())
  await check({ conv, bn })
})

test('folds once while nothing changes, and gives it back', () => {
  const before = countTensors()
  const { conv, bn } = layers()
  bn.eval()
  const x = make([1, 5, 7, 8])
  const run = () => convNorm(x, conv, bn)
  pass(run)
  const { scale } = bn.fold()
  pass(run)
  assert.is(bn.fold().scale, scale)
  for (const module of [conv, bn]) module.free()
  x.release()
  assert.is(countTensors(), before)
})

test('normalises with a gradient where one is wanted', () => {
  const { conv, bn } = layers()
  bn.eval()
  scope(() => {
    const x = make([1, 5, 7, 8])
    assert.is(convNorm(x, conv, bn, { relu: true }).node?.name, 'batchNorm2d')
    for (const module of [conv, bn]) module.requiresGrad(false)
    assert.is(convNorm(x, conv, bn, { relu: true }).node, null)
    x.requiresGrad = true
    assert.is(convNorm(x, conv, bn, { relu: true }).node?.name, 'batchNorm2d')
  })
})

test('names its layers as a Sequential does', () => {
  const names = [...new ConvNorm(new Conv2d(8, 12, 1, { bias: false }), new BatchNorm2d(12)).namedParameters()]
  assert.equal(
    names.map(([name]) => name),
    ['0.weight', '1.weight', '1.bias'],
  )
})

test.run()
