import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { add, addRelu, backward, countTensors, memoryOf, noGrad, relu, scope, Tensor } from '../../engine/index.ts'
import { testDevice } from '../device.ts'

const device = await testDevice()
const test = suite('autograd')

/** A leaf that requires a gradient. */
function leaf(data: number[]): Tensor {
  const tensor = Tensor.from(device, Float32Array.from(data))
  tensor.requiresGrad = true
  return tensor
}

test('a gradient reaches both inputs of add, once for each use', async () => {
  const a = leaf([1, -2, 3])
  const b = leaf([1, 1, -5])
  scope(() => backward(add(add(a, b), a), Tensor.from(device, Float32Array.of(1, 10, 100))))
  assert.equal([...(await a.grad!.read())], [2, 20, 200])
  assert.equal([...(await b.grad!.read())], [1, 10, 100])
})

test('says of each leaf when its gradient is complete: after its last use, before earlier ops', () => {
  const [a, b, c] = [leaf([1]), leaf([2]), leaf([3])]
  const done: string[] = []
  scope(() => {
    const first = add(a, c) // c is used again later, that is earlier on the way back
    const complete = (tensor: Tensor) => {
      done.push(tensor === a ? 'a' : tensor === b ? 'b' : 'c')
      assert.ok(tensor.grad)
    }
    backward(add(add(first, b), c), undefined, { complete })
  })
  assert.equal(done, ['b', 'a', 'c'])
})

test('gradients of a leaf accumulate over backward passes', async () => {
  const a = leaf([1, -2])
  for (let pass = 0; pass < 3; pass++) scope(() => backward(relu(a), Tensor.from(device, Float32Array.of(1, 1))))
  assert.equal([...(await a.grad!.read())], [3, 0])
})

test('addRelu passes its gradient where the sum is positive', async () => {
  const a = leaf([1, -2, 3])
  const b = leaf([1, 1, -5])
  const y = scope(() => {
    const y = addRelu(a, b)
    backward(y, Tensor.from(device, Float32Array.of(5, 6, 7)))
    return y
  })
  assert.equal([...(await y.read())], [2, 0, 0])
  assert.equal([...(await a.grad!.read())], [5, 0, 0])
  assert.equal([...(await b.grad!.read())], [5, 0, 0])
})

test('a frozen part records nothing', () => {
  scope(() => {
    const frozen = Tensor.from(device, Float32Array.of(1, 2))
    assert.is(relu(frozen).node, null)
    const a = leaf([1, 2])
    assert.is(noGrad(() => relu(a)).node, null)
    assert.is.not(relu(add(frozen, a)).node, null)
  })
})

test('backward of what was not recorded, or is no scalar, is refused', () => {
  scope(() => {
    assert.throws(() => backward(Tensor.from(device, Float32Array.of(1))), /nothing was recorded/)
    assert.throws(() => backward(relu(leaf([1, 2]))), /is no scalar/)
  })
})

test('a scope frees what it made, except what it returns', async () => {
  const before = countTensors()
  const kept = scope(() => {
    const x = Tensor.from(device, Float32Array.of(-1, 2))
    return relu(add(x, x))
  })
  assert.is(countTensors(), before + 1)
  assert.equal([...(await kept.read())], [0, 4])
  kept.release()
  assert.is(countTensors(), before)
  assert.throws(() => kept.storage, /after its scope freed it/)
})

test('what autograd keeps outlives inner scopes and ends with the outermost', async () => {
  const a = leaf([1, -2])
  const before = countTensors()
  scope(() => {
    const y = scope(() => relu(add(a, a)))
    backward(y, Tensor.from(device, Float32Array.of(1, 1)))
  })
  assert.is(countTensors(), before + 1, 'only the gradient of the leaf is left')
  assert.equal([...(await a.grad!.read())], [2, 0])
  a.grad!.release()
  scope(() => {
    relu(add(a, a))
  })
  assert.is(countTensors(), before, 'a step without backward leaves nothing')
})

test('buffers are flat over steps once warm', async () => {
  const memory = memoryOf(device)
  const a = leaf([1, 2, 3])
  const step = () => {
    scope(() => backward(relu(add(relu(a), a)), Tensor.from(device, Float32Array.of(1, 1, 1))))
    a.grad!.release()
    a.grad = null
  }
  step()
  const { buffersMade, liveBytes } = memory
  const tensors = countTensors()
  for (let i = 0; i < 100; i++) step()
  assert.is(memory.buffersMade, buffersMade)
  assert.is(memory.liveBytes, liveBytes)
  assert.is(countTensors(), tensors)
})

test('a tensor beyond what the adapter binds is refused with what to lower', () => {
  const floats = device.limits.maxStorageBufferBindingSize / 4 + 1
  assert.throws(() => Tensor.zeros(device, [floats]), /lower the batch size or the image size/)
})

test.run()
