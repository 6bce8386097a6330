import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { backward, countTensors, crossEntropy, kakuritsuLinear, memoryOf, scope, Tensor } from '../../engine/index.ts'
import { BatchNorm2d, Conv2d, Flatten, Generator, Head, MaxPool2d, ReLU, Sequential, SGD } from '../../nn/index.ts'
import { testDevice } from '../device.ts'

const device = await testDevice()
const test = suite('memory over many steps')

test('1,000 training steps keep GPU bytes, buffers and tensors flat, and their bind groups', async () => {
  const generator = new Generator(1)
  const head = new Head('Kakuritsu', { features: 3 * 3 * 5, hidden: 7, classes: 3, generator })
  const net = new Sequential(new Conv2d(2, 5, 3), new BatchNorm2d(5), new ReLU(), new MaxPool2d(2), new Flatten(), head)
  net.to(device)
  const optimizer = new SGD(net.parameters(), { lr: 0.01, momentum: 0.9, weightDecay: 1e-4 })
  const memory = memoryOf(device)
  let last = 0
  const step = async (i: number) => {
    generator.moveTo({ step: i })
    const loss = scope(() => {
      optimizer.zeroGrad()
      const x = Tensor.from(device, new Float32Array(4 * 8 * 8 * 2).fill(i % 3), [4, 8, 8, 2])
      const loss = crossEntropy(net.call(x), Tensor.from(device, Uint32Array.of(0, 1, 2, 0)))
      backward(loss)
      optimizer.step()
      return loss.item()
    })
    if (i % 100 === 0) last = await loss
    else loss.catch(() => {})
  }
  for (let i = 0; i < 20; i++) await step(i)
  const before = { bytes: memory.liveBytes, buffers: memory.buffersMade, tensors: countTensors() }
  const createBindGroup = device.gpu.createBindGroup.bind(device.gpu)
  let made = 0
  device.gpu.createBindGroup = (descriptor) => {
    made++
    return createBindGroup(descriptor)
  }
  for (let i = 20; i < 1020; i++) await step(i)
  device.gpu.createBindGroup = createBindGroup
  assert.is(made, 0, 'bind groups made')
  assert.ok(Number.isFinite(last))
  assert.equal({ bytes: memory.liveBytes, buffers: memory.buffersMade, tensors: countTensors() }, before)
  optimizer.zeroGrad()
  optimizer.free()
  net.free()
})

test('the mask of a Kakuritsu layer takes no memory', () => {
  const [batch, inputs, cells] = [64, 2048, 1000]
  const memory = memoryOf(device)
  scope(() => {
    const [x, weight] = [Tensor.zeros(device, [batch, inputs]), Tensor.zeros(device, [inputs, cells])]
    const layer = (p: number) =>
      kakuritsuLinear(x, weight, p, { key: { seed: 1, layer: 0, step: 0 }, maskGradient: 'exact' })
    layer(0.5) // a software adapter keeps copies of x and the weight from now on
    for (const p of [0.5, 0.3]) {
      const before = memory.liveBytes
      memory.peakBytes = before
      layer(p)
      // The output alone, rounded up by an eighth at most; the mask's bits would be 64 times as much.
      assert.ok(memory.peakBytes - before <= batch * cells * 4 * 1.125, `p = ${p}`)
    }
  })
})

test.run()
