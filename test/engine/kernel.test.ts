import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { GpuError, Tensor } from '../../engine/index.ts'
import { Kernel, rehearse, spread } from '../../engine/kernel.ts'
import { testDevice } from '../device.ts'

const device = await testDevice()
const test = suite('kernel')

const SOURCE = `
const FACTOR: u32 = 2;
struct Params {
  size: u32, // elements
  shift: i32,
  scale: f32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> out: array<f32>;
@compute @workgroup_size(4)
fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x < params.size) { out[id.x] = f32(i32(id.x * FACTOR) + params.shift) * params.scale; }
}`

const run = async (kernel: Kernel, size: number) => {
  const out = Tensor.zeros(device, [size])
  kernel.run(device, { size, shift: -3, scale: 0.5 }, [out], [Math.ceil(size / 4)])
  return [...(await out.read())]
}

test('passes parameters by name and type', async () => {
  assert.equal(await run(new Kernel('k', SOURCE), 5), [-1.5, -0.5, 0.5, 1.5, 2.5])
})

test('replaces constants by name, and makes each variant once', async () => {
  const kernel = new Kernel('k', SOURCE)
  assert.equal(await run(kernel.with({ FACTOR: 10 }), 3), [-1.5, 3.5, 8.5])
  assert.is(kernel.with({ FACTOR: 10 }), kernel.with({ FACTOR: 10 }))
  assert.throws(() => kernel.with({ FACTER: 10 }), /kernel k .*has no constant 'FACTER'/)
})

test('refuses what does not fit', () => {
  const kernel = new Kernel('k', SOURCE)
  const out = Tensor.zeros(device, [4])
  assert.throws(() => kernel.run(device, { size: 4, scale: 1 }, [out], [1]), /no value for its parameter 'shift'/)
  assert.throws(() => kernel.run(device, { size: 4, shift: 0, scale: 1 }, [], [1]), /has 1 storage bindings, 0 given/)
  assert.throws(() => new Kernel('k', 'fn main() {}'), /has no 'struct Params'/)
  assert.throws(() => new Kernel('k', SOURCE.replace('i32,', 'vec2u,')), /'shift' is vec2u/)
})

test('refuses more workgroups than the adapter takes, by name and shapes', () => {
  const out = Tensor.zeros(device, [7, 33])
  const tooMany = device.limits.maxComputeWorkgroupsPerDimension + 1
  const params = { size: 4, shift: 0, scale: 1 }
  assert.throws(
    () => new Kernel('k', SOURCE).run(device, params, [out], [1, tooMany]),
    (error: Error) => error instanceof GpuError && /kernel k on \[7,33\] takes \[1, \d+, 1\]/.test(error.message),
  )
})

test('a rehearsal compiles and computes nothing', async () => {
  const kernel = new Kernel('k', SOURCE)
  const out = Tensor.from(device, Float32Array.of(7))
  const params = { size: 1, shift: 0, scale: 1 }
  await rehearse(device, () => kernel.run(device, params, [out], [1]))
  assert.equal([...(await out.read())], [7])
  kernel.run(device, params, [out], [1])
  assert.equal([...(await out.read())], [0])
})

test('a rehearsal ends with the error of what it runs', async () => {
  const failing = rehearse(device, () => {
    throw new Error('no such act')
  })
  let message = ''
  await failing.catch((error: Error) => {
    message = error.message
  })
  assert.is(message, 'no such act')
  assert.equal(await run(new Kernel('k', SOURCE), 1), [-1.5], 'what follows runs')
})

test('refuses to write what it also reads', () => {
  const source = SOURCE.replace('@compute', '@group(0) @binding(2) var<storage, read> x: array<f32>;\n@compute')
  const out = Tensor.zeros(device, [4])
  const params = { size: 4, shift: 0, scale: 1 }
  assert.throws(
    () => new Kernel('k', source).run(device, params, [out, out], [1]),
    /kernel k would write a tensor \[4\]/,
  )
})

test('runs nothing where there is nothing to do', async () => {
  const out = Tensor.from(device, Float32Array.of(7))
  new Kernel('k', SOURCE).run(device, { size: 0, shift: 0, scale: 0 }, [out], spread(device, 0, 4))
  assert.equal([...(await out.read())], [7])
})

test('spreads more workgroups than one axis takes over two', () => {
  const most = device.limits.maxComputeWorkgroupsPerDimension
  assert.equal(spread(device, 64 * most, 64), [most, 1])
  assert.equal(spread(device, 64 * most + 1, 64), [most, 2])
})

test.run()
