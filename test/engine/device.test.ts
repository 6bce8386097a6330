import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { GpuError, memoryOf, Tensor } from '../../engine/index.ts'
import { Kernel } from '../../engine/kernel.ts'
import addSource from '../../engine/shaders/add.wgsl'
import { openDevice } from '../../imagenet/gpu/open.ts'
import { testDevice } from '../device.ts'
import { rejection } from '../rejection.ts'

const test = suite('device')

test('asks for the limits of the adapter and the features that kernels use', async () => {
  const device = await testDevice()
  assert.ok(device.limits.maxStorageBufferBindingSize >= 2 ** 27, 'the default is 2^27')
  if (device.subgroups) assert.ok(device.subgroups.min <= device.subgroups.max)
  assert.is(device.features.has('subgroups'), device.subgroups !== null)
})

test('a command that the GPU refuses is an exception that names the op and the shapes', async () => {
  const device = await openDevice()
  const [a, b, out] = [0, 1, 2].map(() => Tensor.zeros(device, [7, 33]))
  const greedy = addSource.replace('a: array<vec4f>', 'a: array<vec4f, 1000>')
  new Kernel('add', greedy).run(device, { size: a.size }, [a, b, out], [1])
  const error = await rejection(out.read())
  assert.instance(error, GpuError)
  assert.match(error.message, /the GPU refused a command/)
  assert.match(error.message, /add \[7,33\] \[7,33\] \[7,33\]/)
  device.destroy()
})

test('a shader that does not compile is an exception that names it', async () => {
  const device = await openDevice()
  const a = Tensor.zeros(device, [4])
  const broken = new Kernel('broken', addSource.replace('a[i] + b[i]', 'a[i] + nothing'))
  broken.run(device, { size: 4 }, [a, Tensor.zeros(device, [4]), Tensor.zeros(device, [4])], [1])
  assert.match((await rejection(a.read())).message, /broken/)
  assert.match((await rejection(broken.prepare(await openDevice()))).message, /kernel broken does not compile/)
  device.destroy()
})

test('a lost device ends a read, and everything after it, with an error', async () => {
  const device = await openDevice()
  const a = Tensor.zeros(device, [4])
  device.gpu.destroy()
  const error = await rejection(a.read())
  assert.instance(error, GpuError)
  assert.match(error.message, /lost/)
  assert.throws(() => device.flush(), /lost/)
})

test('what is given after a promised write waits for it, in order, and nobody else does', async () => {
  const device = await testDevice()
  const promised = Tensor.from(device, Float32Array.of(1, 2))
  let keep!: (data: Float32Array) => void
  const before = promised.read()
  promised.write(
    new Promise<Float32Array>((resolve) => {
      keep = resolve
    }),
  )
  const other = Tensor.from(device, Float32Array.of(100, 200))
  const out = Tensor.zeros(device, [2])
  new Kernel('add', addSource).run(device, { size: 2 }, [promised, other, out], [1])
  const between = out.read()
  const reused = Float32Array.of(0, 0)
  other.write(reused)
  reused.fill(7) // after it was given
  const after = other.read()
  memoryOf(device).trim()
  assert.equal([...(await before)], [1, 2])
  keep(Float32Array.of(10, 20))
  assert.equal([...(await between)], [110, 220])
  assert.equal([...(await after)], [0, 0])
  await device.idle()
})

test('a promised write that fails ends what waits for it; what ran before can be read once that is dropped', async () => {
  const device = await testDevice()
  const a = Tensor.from(device, Float32Array.of(1, 2))
  a.write(Promise.reject(new Error('no sum')))
  const other = Tensor.from(device, Float32Array.of(3, 4))
  a.write(Promise.reject(new Error('no second sum')))
  for (const tensor of [a, other]) assert.is((await rejection(tensor.read())).message, 'no sum')
  assert.throws(() => device.flush(), /no sum/)
  device.dropKeptBack()
  assert.equal([...(await a.read())], [1, 2])
  a.write(Promise.resolve(Float32Array.of(1)))
  assert.match((await rejection(a.read())).message, /\[2\] does not hold 1 elements/)
  device.dropKeptBack()
})

test('memory that cannot be had is an error that says what to lower', async () => {
  const device = await openDevice()
  // Vulkan's loader gives a buffer of this size only on a machine with terabytes.
  const memory = memoryOf(device)
  const limit = Math.min(device.limits.maxStorageBufferBindingSize, device.limits.maxBufferSize)
  assert.throws(
    () => memory.take(limit + 4, 'a tensor [huge]'),
    /binds at most \d+ bytes at once, too few for a tensor \[huge\], \d+ bytes: lower the batch size/,
  )
  device.gpu.dispatchEvent(new GPUUncapturedErrorEvent('uncapturederror', { error: new GPUOutOfMemoryError('full') }))
  assert.throws(() => device.flush(), /no memory left.*lower the batch size/)
  device.destroy()
})

test('a result is read as it was when it was asked for', async () => {
  const device = await testDevice()
  const a = Tensor.from(device, Float32Array.of(1, 2))
  const before = a.read()
  a.write(Float32Array.of(3, 4))
  assert.equal([...(await before)], [1, 2])
  assert.equal([...(await a.read())], [3, 4])
})

test.run()
