import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { countTensors, noGrad, relu, scope, Tensor } from '../../engine/index.ts'
import {
  BatchNorm2d,
  Conv2d,
  Dropout,
  Flatten,
  Generator,
  KakuritsuLinear,
  Linear,
  MaxPool2d,
  Module,
  pipe,
  ReLU,
  Sequential,
  StateError,
} from '../../nn/index.ts'
import { testDevice } from '../device.ts'

const device = await testDevice()
const test = suite('Module')

/** One of each layer that has a state. x: [N, 6, 6, 2] → [N, 3]. */
class Net extends Module {
  readonly stem = new Sequential(new Conv2d(2, 4, 3, { padding: 1 }), new BatchNorm2d(4), new ReLU())
  readonly pool = new MaxPool2d(2)
  readonly flat = new Flatten()
  readonly lastLayer: Linear
  /** A field that is no state. */
  readonly note = 'a'

  constructor(classes = 3) {
    super()
    this.lastLayer = new Linear(36, classes)
  }

  override forward(x: Tensor): Tensor {
    return pipe(x, this.stem, this.pool, this.flat, this.lastLayer)
  }
}

const image = (): Tensor =>
  Tensor.from(
    device,
    Float32Array.from({ length: 2 * 6 * 6 * 2 }, (_, i) => Math.sin(i)),
    [2, 6, 6, 2],
  )

test('names its state in the order of fields, in snake case', () => {
  const net = new Net()
  assert.equal(
    [...net.namedParameters()].map(([name, { shape }]) => `${name} [${shape}]`),
    [
      'stem.0.weight [3,3,2,4]',
      'stem.0.bias [4]',
      'stem.1.weight [4]',
      'stem.1.bias [4]',
      'last_layer.weight [36,3]',
      'last_layer.bias [3]',
    ],
  )
  assert.equal(
    [...net.namedBuffers('net.')].map(([name]) => name),
    ['net.stem.1.running_mean', 'net.stem.1.running_var', 'net.stem.1.num_batches_tracked'],
  )
  assert.equal(
    net.children().map(([name]) => name),
    ['stem', 'pool', 'flat', 'last_layer'],
  )
  assert.is([...net.modules()].length, 8)
  assert.is(net.parameterCount, 72 + 4 + 4 + 4 + 108 + 3)
})

test("saves in PyTorch's layout, and loads it bit for bit, before or after it is placed", async () => {
  const net = new Net().to(device, { seed: 3 })
  net.call(image())
  const state = await net.stateDict()
  assert.equal(
    [...state].map(([name, { dtype, shape }]) => `${name} ${dtype} [${shape}]`),
    [
      'stem.0.weight F32 [4,2,3,3]',
      'stem.0.bias F32 [4]',
      'stem.1.weight F32 [4]',
      'stem.1.bias F32 [4]',
      'stem.1.running_mean F32 [4]',
      'stem.1.running_var F32 [4]',
      'stem.1.num_batches_tracked I64 []',
      'last_layer.weight F32 [3,36]',
      'last_layer.bias F32 [3]',
    ],
  )
  assert.equal(state.get('stem.1.num_batches_tracked')!.data, BigInt64Array.of(1n))
  const weight = await net.lastLayer.weight.tensor.read()
  const saved = state.get('last_layer.weight')!.data
  for (const [input, output] of [
    [0, 0],
    [35, 2],
    [7, 1],
  ])
    assert.is(saved[output * 36 + input], weight[input * 3 + output])

  const before = new Net()
  before.loadStateDict(state)
  assert.equal(await before.to(device, { seed: 4 }).stateDict(), state)
  const after = new Net().to(device, { seed: 4 })
  assert.not.equal(await after.stateDict(), state)
  after.loadStateDict(state)
  assert.equal(await after.stateDict(), state)
})

test('starts from seed and name alone', async () => {
  const read = (module: Module) =>
    module
      .stateDict()
      .then((state) => [...state.values()].map(({ data }) => Array.from(data as ArrayLike<number | bigint>, Number)))
  const first = await read(new Net().to(device, { seed: 5 }))
  assert.equal(await read(new Net().to(device, { seed: 5 })), first)
  const other = await read(new Net().to(device, { seed: 6 }))
  const [weight, bias] = [0, 1]
  assert.not.equal(other[weight], first[weight])
  assert.not.equal(first[bias], first[weight].slice(0, 4), 'each name draws its own numbers')
  // PyTorch's default: uniform in ±1/√fanIn, here of 3·3·2 inputs; 72 draws come near the bound.
  const largest = Math.max(...first[weight].map(Math.abs))
  assert.ok(largest <= 1 / Math.sqrt(18) && largest > 0.9 / Math.sqrt(18))
})

test('tells what of a state does not fit, and changes nothing', async () => {
  const net = new Net().to(device)
  const state = await net.stateDict()
  const changed = new Map(state)
  changed.delete('stem.0.bias')
  changed.set('fc.weight', state.get('stem.0.bias')!)
  changed.set('last_layer.weight', { dtype: 'F32', shape: [5, 36], data: new Float32Array(180) })
  changed.set('stem.1.weight', { dtype: 'F32', shape: [4], data: new Float32Array(4) })
  assert.throws(
    () => net.loadStateDict(changed),
    (error: Error) =>
      error instanceof StateError &&
      /Net: it lacks stem\.0\.bias; it has fc\.weight, .*last_layer\.weight is \[5, 36\], .* wants \[3, 36\]/.test(
        error.message,
      ),
  )
  const counted: typeof state = new Map(state).set('last_layer.bias', {
    dtype: 'I64',
    shape: [3],
    data: new BigInt64Array(3),
  })
  assert.throws(() => net.loadStateDict(counted), /last_layer\.bias is I64, the model wants F32/)
  assert.equal(await net.stateDict(), state)

  changed.delete('last_layer.weight')
  const { missing, unexpected } = net.loadStateDict(changed, { strict: false })
  assert.equal([missing, unexpected], [['stem.0.bias', 'last_layer.weight'], ['fc.weight']])
  assert.equal(await net.stem.children()[1][1].parameters()[0].tensor.read(), new Float32Array(4))
})

test('takes the state of a PyTorch that did not count batches', async () => {
  const net = new Net().to(device)
  const state = await net.stateDict()
  state.delete('stem.1.num_batches_tracked')
  assert.equal(net.loadStateDict(state).missing, ['stem.1.num_batches_tracked'])
})

test('says that a model is on no device yet, or on one already', async () => {
  assert.throws(() => new Net().call(image()), /is on no device: call to\(device\)/)
  const net = new Net().to(device)
  const { tensor } = net.lastLayer.weight
  assert.is(net.to(device).lastLayer.weight.tensor, tensor)
})

test('frozen in train mode, it records nothing, yet BatchNorm follows the batches', async () => {
  const net = new Net().requiresGrad(false).to(device)
  const read = async () => {
    const state = await net.stateDict()
    return ['running_mean', 'running_var', 'num_batches_tracked'].map((name) => state.get(`stem.1.${name}`)!.data)
  }
  const start = await read()
  net.train()
  scope(() => assert.is(net.call(image()).node, null))
  const trained = await read()
  for (const i of start.keys()) assert.not.equal(trained[i], start[i])
  net.eval()
  assert.ok([...net.modules()].every(({ training }) => !training))
  scope(() => {
    net.call(image())
  })
  assert.equal(await read(), trained)
  net.requiresGrad(true)
  scope(() => assert.is.not(net.call(image()).node, null))
})

test('a pipe holds one result at a time when nothing is recorded', () => {
  const x = image()
  const alive: number[] = []
  const step = (y: Tensor) => {
    alive.push(countTensors())
    return relu(y)
  }
  const before = countTensors()
  scope(() => {
    noGrad(() => pipe(x, ...Array.from({ length: 5 }, () => step)))
  })
  assert.equal(alive, [before, before + 1, before + 1, before + 1, before + 1])
  assert.is(countTensors(), before)
})

test('gives all its memory back', () => {
  const before = countTensors()
  const net = new Net().to(device)
  assert.ok(countTensors() > before)
  net.free()
  assert.is(countTensors(), before)
})

test('KakuritsuLinear has its own p in eval mode; Dropout does nothing there', async () => {
  const generator = new Generator(1)
  const layer = new KakuritsuLinear(64, 8, { generator, p: 0.5, evalP: 1 }).to(device)
  const plain = new Linear(64, 8, { bias: false })
  plain.loadStateDict(await layer.stateDict())
  plain.to(device)
  const x = Tensor.from(
    device,
    Float32Array.from({ length: 128 }, (_, i) => 1 + (i % 7)),
    [2, 64],
  )
  const [noisy, quiet, expected] = [layer.call(x), layer.eval().call(x), plain.call(x)]
  assert.not.equal(await noisy.read(), await expected.read())
  assert.equal(await quiet.read(), await expected.read())
  const dropout = new Dropout(0.5, generator)
  assert.not.equal(await dropout.call(x).read(), await x.read())
  assert.equal(await dropout.eval().call(x).read(), await x.read())
})

test('a convolution of groups that do not divide its channels is refused', () => {
  assert.throws(() => new Conv2d(6, 8, 3, { groups: 4 }), /6 → 8 channels cannot be divided into 4 groups/)
})

test.run()
