/** The first layer whose output or gradient is not finite is found by name. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { backward, countTensors, relu, scope, Tensor } from '../../engine/index.ts'
import { AnomalyWatch, Flatten, Linear, Module, pipe } from '../../nn/index.ts'
import { testDevice } from '../device.ts'

const test = suite('anomalies')

class Net extends Module {
  first = new Linear(3, 4)
  middle = new Flatten()
  last = new Linear(4, 1)

  override forward(x: Tensor): Tensor {
    return pipe(x, this.first, relu, this.middle, this.last)
  }
}

/** What is found in one pass with this input, weight of the last layer, and gradient to start from. */
async function found({ x = 1, weight = 1, seed = 1 } = {}): Promise<string | null> {
  const device = await testDevice()
  const net = new Net().to(device)
  net.first.weight.tensor.write(new Float32Array(12).fill(0.5))
  net.last.weight.tensor.write(new Float32Array(4).fill(weight))
  const before = countTensors()
  const watch = new AnomalyWatch(device, net)
  scope(() => {
    const input = Tensor.from(device, new Float32Array(3).fill(x), [1, 3])
    watch.look('the input', input)
    const out = watch.forward(() => net.call(input))
    backward(out, Tensor.from(device, Float32Array.of(seed), [1, 1]))
  })
  watch.parameters()
  const first = await watch.end()
  for (const parameter of net.parameters()) parameter.zeroGrad()
  assert.is(countTensors(), before)
  net.free()
  return first
}

test('nothing where all is finite', async () => assert.is(await found(), null))

test('the input', async () => assert.is(await found({ x: NaN }), 'the input'))

test('an output: of the layer that makes it, not of those behind', async () => {
  assert.is(await found({ x: 3e38 }), 'the output of first')
  assert.is(await found({ weight: 3e38 }), 'the output of last')
})

test('a gradient: of the layer that it reaches first', async () => {
  assert.is(await found({ seed: Infinity }), "the gradient of the network's output")
  assert.is(await found({ x: 1e-30, weight: 1e10, seed: 1e30 }), "the gradient of middle's output")
  assert.is(await found({ x: 1e19, weight: 1e-19, seed: 1e20 }), 'the gradient of last.weight')
})

test.run()
