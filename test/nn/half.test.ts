/** Networks in half precision: their features against PyTorch's in f32, and their memory. */
import { readFileSync } from 'node:fs'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { hasHalf, noGrad, scope, Tensor } from '../../engine/index.ts'
import type { SavedTensor } from '../../nn/formats/file_tensor.ts'
import { readSafetensors } from '../../nn/formats/safetensors.ts'
import { ResNet, type ResNetArchitecture, resnet } from '../../nn/resnet.ts'
import { testDevice } from '../device.ts'
import { hashed, hashedWeight } from '../reference/hashed.ts'
import { dot, map, type Nd, nd, permute, size } from '../reference/nd.ts'

const test = suite('half precision, networks')
const device = await testDevice()
const able = hasHalf(device) ? test : test.skip
const { tensors } = readSafetensors(readFileSync('test/fixtures/resnets.safetensors'))
const cases: { name: string; config: Record<string, unknown>; input: number[] }[] = JSON.parse(
  readFileSync('test/fixtures/resnets.json', 'utf8'),
)

/** A network of the recorded ones in a precision, and its input. */
function build(name: string, precision: 'f32' | 'f16') {
  const { config, input } = cases.find((row) => row.name === name)!
  const {
    block,
    layers,
    groups,
    width_per_group: widthPerGroup,
  } = config as unknown as ResNetArchitecture & {
    width_per_group?: number
  }
  const dilated = config.replace_stride_with_dilation as [boolean, boolean, boolean] | undefined
  const net = new ResNet(
    { block, layers, groups, widthPerGroup },
    { convOnly: true, replaceStrideWithDilation: dilated },
  )
  const state = new Map<string, SavedTensor>()
  for (const [name, { savedShape: shape }] of net.namedState())
    if (!name.endsWith('num_batches_tracked'))
      state.set(name, { dtype: 'F32', shape, data: hashedWeight(name, shape, block) })
  net.loadStateDict(state)
  if (precision === 'f16') net.half()
  const x = permute(nd(input, hashed(`${name}.input`, size(input))), [0, 2, 3, 1])
  return { net: net.to(device), x: Tensor.from(device, Float32Array.from(x.data), x.shape) }
}

/** ‖a − b‖ / ‖b‖ */
function relativeDistance(a: ArrayLike<number>, b: Nd): number {
  const difference = map(b, (value, i) => a[i] - value)
  return Math.sqrt(dot(difference, difference) / dot(b, b))
}

/**
 * What the base promises. A half has 11 bits: each of some L results is off by 2^-12 of itself, mostly at random, which
 * comes to √L · 2^-12 = 2e-3 after ResNet-50's 53 convolutions.
 */
const FEATURES = 1e-2

for (const name of ['resnet18', 'resnet50_dilated'])
  able(`${name} evaluates to within 1e-2 of f32`, async () => {
    const { net, x } = build(name, 'f16')
    net.eval()
    const features = scope(() => net.call(x))
    assert.is(features.dtype, 'f32')
    const { shape, data } = tensors.get(`${name}.eval.features`)!
    const distance = relativeDistance(await features.read(), nd(shape, data as Float32Array))
    assert.ok(distance > 0 && distance < FEATURES, `${distance}`)
    net.free()
  })

able('a frozen base in train mode normalises by the batch, to within 1e-2 of f32', async () => {
  const pass = async (precision: 'f32' | 'f16') => {
    const { net, x } = build('resnet18', precision)
    const features = await scope(() => noGrad(() => net.call(x).read()))
    const running = await net.bn1.runningMean.tensor.read()
    net.free()
    return { features, running }
  }
  const [narrow, wide] = [await pass('f16'), await pass('f32')]
  for (const part of ['features', 'running'] as const) {
    const distance = relativeDistance(narrow[part], nd([wide[part].length], wide[part]))
    assert.ok(distance > 0 && distance < FEATURES, `${part}: ${distance}`)
  }
})

able('takes half the memory', () => {
  const bytesOf = (precision: 'f32' | 'f16') => {
    const { net } = build('resnet18', precision)
    const bytes = net.parameters().reduce((sum, { tensor }) => sum + tensor.storage.bytes, 0)
    net.free()
    return bytes
  }
  const ratio = bytesOf('f16') / bytesOf('f32')
  assert.ok(ratio < 0.505, `${ratio}: BatchNorm's parameters, of f32 still, are less than a hundredth`)
})

test('is chosen before a network is on a device, and freezes it', () => {
  const net = resnet('resnet18').half()
  assert.not.ok(net.parameters().some(({ requiresGrad }) => requiresGrad))
  const placed = resnet('resnet18', { convOnly: true }).to(device)
  assert.throws(() => placed.half(), /half: a model chooses its precision before it is put on a device/)
  placed.free()
})

test.run()
