/**
 * Whole networks against what PyTorch 1.13.1 and torchvision 0.14.1 computed on the same weights (test/reference/hashed):
 * in eval mode, and for those that carry them in train mode loss, gradients and running statistics.
 */
import { readFileSync } from 'node:fs'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { backward, crossEntropy, noGrad, scope, Tensor } from '../../engine/index.ts'
import type { SavedTensor } from '../../nn/formats/file_tensor.ts'
import { readSafetensors } from '../../nn/formats/safetensors.ts'
import { ResNet, type ResNetArchitecture } from '../../nn/resnet.ts'
import { testDevice } from '../device.ts'
import { hashed, hashedWeight } from '../reference/hashed.ts'
import { close, dot, map, type Nd, nd, permute, size, type Tolerance } from '../reference/nd.ts'

/**
 * Both sides round in float32, 6e-8 of each operation's result, and add in another order. In eval mode that comes to 2e-6
 * of an output's root mean square after 155 convolutions; a few times that is allowed. In train mode each BatchNorm
 * divides by the deviation of as few as 16 values, which enlarges errors: up to 3e-5, and a few times that is allowed.
 */
const EVAL: Tolerance = { rtol: 1e-5 }
const TRAIN: Tolerance = { rtol: 1e-4 }

/**
 * How far a gradient may be from the recorded one, as a part of its norm: 1e-3, which is ten times what is seen, except
 * before the last stage of ResNet-152. A gradient jumps wherever an input of a ReLU is so close to 0 that the two sides
 * round it to different signs, and on the way back through 140 ReLUs the jumps add up, in any float32 implementation: the
 * record itself is 4.6e-3 to 5.9e-3 of their norms away from the gradients that PyTorch computes of the same network in
 * float64. Both sides round, which makes it √2 times as much or more (1.1e-2 is seen); three times that is allowed. A
 * wrong gradient is off by its whole norm.
 */
const gradientTolerance = (network: string, parameter: string): number =>
  network === 'resnet152' && !/^(layer4|fc)/.test(parameter) ? 3e-2 : 1e-3

interface Case {
  name: string
  config: {
    block: 'basic' | 'bottleneck'
    layers: ResNetArchitecture['layers']
    num_classes: number
    groups?: number
    width_per_group?: number
    replace_stride_with_dilation?: [boolean, boolean, boolean]
  }
  input: number[]
  labels: number[]
  train: boolean
}

const { tensors } = readSafetensors(readFileSync('test/fixtures/resnets.safetensors'))
const cases: Case[] = JSON.parse(readFileSync('test/fixtures/resnets.json', 'utf8'))
const device = await testDevice()
const test = suite('ResNets of torchvision')

function recorded(name: string): Nd {
  const { shape, data } = tensors.get(name)!
  return nd(shape, data as Float32Array)
}

/** The network on the test's device, each tensor of it made from its name. */
function build({ config }: Case): ResNet {
  const { block, layers, groups, num_classes: numClasses, width_per_group: widthPerGroup } = config
  const options = { numClasses, replaceStrideWithDilation: config.replace_stride_with_dilation }
  const net = new ResNet({ block, layers, groups, widthPerGroup }, options)
  const state = new Map<string, SavedTensor>()
  for (const [name, { savedShape: shape }] of net.namedState())
    if (!name.endsWith('num_batches_tracked'))
      state.set(name, { dtype: 'F32', shape, data: hashedWeight(name, shape, block) })
  net.loadStateDict(state)
  return net.to(device)
}

function inputOf({ name, input }: Case): Tensor {
  const x = permute(nd(input, hashed(`${name}.input`, size(input))), [0, 2, 3, 1])
  return Tensor.from(device, Float32Array.from(x.data), x.shape)
}

for (const row of cases)
  test(`${row.name} evaluates${row.train ? ' and trains' : ''}`, async () => {
    const net = build(row)
    await checkEval(row, net)
    if (row.train) await checkTrain(row, net)
    net.free()
  })

async function checkEval(row: Case, net: ResNet): Promise<void> {
  net.eval()
  const { features, logits } = scope(() =>
    noGrad(() => {
      const features = net.forwardFeatures(inputOf(row))
      return { features: features.read(), logits: net.fc!.call(features).read() }
    }),
  )
  close(await features, recorded(`${row.name}.eval.features`), EVAL, 'features')
  close(await logits, recorded(`${row.name}.eval.logits`), EVAL, 'logits')
}

async function checkTrain(row: Case, net: ResNet): Promise<void> {
  net.train()
  const { logits, loss } = scope(() => {
    const logits = net.call(inputOf(row))
    const loss = crossEntropy(logits, Tensor.from(device, Uint32Array.from(row.labels)))
    backward(loss)
    return { logits: logits.read(), loss: loss.read() }
  })
  close(await logits, recorded(`${row.name}.train.logits`), TRAIN, 'logits')
  close(await loss, recorded(`${row.name}.train.loss`), TRAIN, 'loss')
  const parameters = new Map(net.namedParameters())
  for (const name of keysBehind(`${row.name}.train.grad.`)) {
    const { grad, shape, layout } = parameters.get(name)!
    const values = nd(shape, await grad!.read())
    const expected = recorded(`${row.name}.train.grad.${name}`)
    const distance = relativeDistance(layout === 'conv' ? permute(values, [3, 2, 0, 1]) : values, expected)
    const allowed = gradientTolerance(row.name, name)
    assert.ok(distance <= allowed, `gradient of ${name}: ${distance} of its norm away, allowed ${allowed}`)
  }
  const buffers = new Map(net.namedBuffers())
  for (const name of keysBehind(`${row.name}.train.after.`)) {
    const { shape, data } = await buffers.get(name)!.save()
    close(nd(shape, data as Float32Array), recorded(`${row.name}.train.after.${name}`), TRAIN, name)
  }
  assert.is(net.bn1.numBatchesTracked.value, 1)
}

/** ‖a − b‖ / ‖b‖ */
function relativeDistance(a: Nd, b: Nd): number {
  assert.equal(a.shape, b.shape)
  const difference = map(a, (value, i) => value - b.data[i])
  return Math.sqrt(dot(difference, difference) / dot(b, b))
}

/** The rest of the recorded names that begin with `prefix`. */
function keysBehind(prefix: string): string[] {
  const names = [...tensors.keys()].filter((name) => name.startsWith(prefix)).map((name) => name.slice(prefix.length))
  assert.ok(names.length > 0, `nothing is recorded as ${prefix}*`)
  return names
}

test.run()
