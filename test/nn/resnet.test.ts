/** Structure of torchvision's ResNets; their numbers are checked in resnets.test.ts. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { Tensor } from '../../engine/index.ts'
import { loadWeights, ResNet, type ResNetName, resnet, resnet18, resnet152 } from '../../nn/index.ts'
import { testDevice } from '../device.ts'

const test = suite('resnet')

/** `num_params` of torchvision's documentation (torchvision.models, IMAGENET1K_V1). */
const PARAMETERS: Record<ResNetName, number> = {
  resnet18: 11_689_512,
  resnet34: 21_797_672,
  resnet50: 25_557_032,
  resnet101: 44_549_160,
  resnet152: 60_192_808,
  resnext50_32x4d: 25_028_904,
  resnext101_32x8d: 88_791_336,
  wide_resnet50_2: 68_883_240,
  wide_resnet101_2: 126_886_696,
}

for (const [name, count] of Object.entries(PARAMETERS))
  test(`${name} has ${count} parameters`, () => {
    assert.is(resnet(name as ResNetName).parameterCount, count)
  })

test("resnet152's state has torchvision's names, shapes and order", () => {
  const net = resnet152()
  const state = [...net.namedState()].map(([name, { savedShape }]) => `${name} [${savedShape}]`)
  // 155 convolutions, 155 BatchNorms of 5 tensors, and fc.
  assert.is(state.length, 155 + 155 * 5 + 2)
  assert.is(net.parameters().length, 155 + 155 * 2 + 2)
  assert.equal(state.slice(0, 8), [
    'conv1.weight [64,3,7,7]',
    'bn1.weight [64]',
    'bn1.bias [64]',
    'bn1.running_mean [64]',
    'bn1.running_var [64]',
    'bn1.num_batches_tracked []',
    'layer1.0.conv1.weight [64,64,1,1]',
    'layer1.0.bn1.weight [64]',
  ])
  assert.equal(state.slice(-5), [
    'layer4.2.bn3.running_mean [2048]',
    'layer4.2.bn3.running_var [2048]',
    'layer4.2.bn3.num_batches_tracked []',
    'fc.weight [1000,2048]',
    'fc.bias [1000]',
  ])
  for (const entry of [
    'layer1.0.downsample.0.weight [256,64,1,1]',
    'layer2.7.conv2.weight [128,128,3,3]',
    'layer3.35.bn2.running_var [256]',
    'layer4.0.downsample.1.num_batches_tracked []',
  ])
    assert.ok(state.includes(entry), entry)
  assert.not.ok(state.some((entry) => entry.startsWith('layer1.1.downsample')))
})

test('the first stage of a basic network has no downsample', () => {
  const names = [...resnet18().namedParameters()].map(([name]) => name)
  assert.not.ok(names.includes('layer1.0.downsample.0.weight'))
  assert.ok(names.includes('layer2.0.downsample.0.weight'))
})

test('convOnly gives features and has no fc; it takes the weights of a network that has one', async () => {
  const device = await testDevice()
  const tiny = { block: 'bottleneck', layers: [1, 1, 1, 1], widthPerGroup: 8 } as const
  const whole = new ResNet(tiny, { numClasses: 10 }).to(device, { seed: 2 })
  const base = new ResNet(tiny, { convOnly: true })
  const state = await whole.stateDict()
  assert.throws(() => base.loadStateDict(state), /it has fc\.weight, fc\.bias, which the model does not have/)
  loadWeights(base, state)
  base.to(device).eval()
  assert.is(base.features, 2048)
  const x = Tensor.from(
    device,
    Float32Array.from({ length: 2 * 32 * 32 * 3 }, (_, i) => Math.sin(i)),
    [2, 32, 32, 3],
  )
  const features = base.call(x)
  assert.equal(features.shape, [2, 2048])
  const [a, b] = [await whole.eval().call(x).read(), await whole.fc!.call(features).read()]
  assert.equal(a, b)
  state.delete('layer4.0.conv1.weight')
  assert.throws(() => loadWeights(base, state), /ResNet: it lacks layer4\.0\.conv1\.weight/)
})

test('starts as torchvision does: normal by fan-out, BatchNorm 1 and 0, optionally 0 at the end of each block', async () => {
  const device = await testDevice()
  const net = resnet18({ zeroInitResidual: true }).to(device)
  const state = await net.stateDict()
  const of = (name: string) => state.get(name)!.data as Float32Array
  const weight = of('layer2.1.conv1.weight')
  const mean = weight.reduce((sum, value) => sum + value, 0) / weight.length
  const std = Math.sqrt(weight.reduce((sum, value) => sum + (value - mean) ** 2, 0) / weight.length)
  const expected = Math.sqrt(2 / (128 * 9))
  // Of n = 147,456 draws the mean deviates by std/√n and the deviation by std/√(2n); five times that is allowed.
  assert.ok(Math.abs(mean) < (5 * expected) / Math.sqrt(weight.length), `mean ${mean}`)
  assert.ok(Math.abs(std - expected) < (5 * expected) / Math.sqrt(2 * weight.length), `std ${std}, not ${expected}`)
  assert.equal(of('layer1.0.bn1.weight'), new Float32Array(64).fill(1))
  assert.equal(of('layer1.0.bn2.weight'), new Float32Array(64))
  assert.equal(of('layer1.0.bn1.bias'), new Float32Array(64))
  net.free()
})

test('basic blocks take no groups, width or dilation', () => {
  const layers = [1, 1, 1, 2] as const
  assert.throws(() => new ResNet({ block: 'basic', layers, groups: 2 }), /groups 1 and widthPerGroup 64/)
  assert.throws(
    () => new ResNet({ block: 'basic', layers }, { replaceStrideWithDilation: [false, false, true] }),
    /cannot be dilated/,
  )
})

test.run()
