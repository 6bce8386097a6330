import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import {
  backward,
  crossEntropy,
  dropConnectLinear,
  dropout,
  kakuritsuLinear,
  linear,
  relu,
  scale,
  scope,
  Tensor,
} from '../../engine/index.ts'
import {
  type Arch,
  archs,
  Generator,
  type Head,
  type HeadNoise,
  type HeadOptions,
  head,
  noiseOf,
} from '../../nn/index.ts'
import { testDevice } from '../device.ts'
import { Random } from '../reference/nd.ts'

const device = await testDevice()
const test = suite('heads')

const SEED = 9
const [BATCH, FEATURES, HIDDEN, CLASSES] = [6, 70, 40, 11]
const random = new Random(1)
const x = Tensor.from(device, Float32Array.from(random.normal([BATCH, FEATURES]).data), [BATCH, FEATURES])

function make(arch: Arch, options: Partial<HeadOptions> = {}): { net: Head; generator: Generator } {
  const generator = new Generator(SEED)
  const net = head(arch, { features: FEATURES, hidden: HIDDEN, classes: CLASSES, generator, ...options })
  return { net: net.to(device, { seed: 5 }), generator }
}

const noises: HeadNoise[] = [{ kind: 'kakuritsu', p: 0.5 }, { kind: 'dropout', p: 0.5 }, { kind: 'plain' }]

for (const arch of archs)
  test(`${arch} has the original's parameters, uniform in ±0.1`, async () => {
    const { net } = make(arch)
    const state = await net.stateDict()
    assert.equal(
      [...state].map(([name, { shape }]) => `${name} [${shape}]`),
      [`li1.weight [${HIDDEN},${FEATURES}]`, `li2.weight [${CLASSES},${HIDDEN}]`],
    )
    const weights = state.get('li1.weight')!.data as Float32Array
    const largest = Math.max(...weights.map(Math.abs))
    // That none of 2,800 draws comes within 1 % of the bound has a chance of 0.99^2800 = 6e-13.
    assert.ok(largest <= 0.1 && largest > 0.099, `${largest}`)
  })

test('all kinds start from the same weights', async () => {
  const [kakuritsu, dropout, white] = await Promise.all(archs.map((arch) => make(arch).net.stateDict()))
  assert.equal(dropout, kakuritsu)
  assert.equal(white, kakuritsu)
})

test('Kakuritsu is two masked layers around a ReLU; p = 1 is White, bit for bit', async () => {
  const { net } = make('Kakuritsu', { p: 0.3 })
  const masked = (x: Tensor, weight: Tensor, layer: number) =>
    kakuritsuLinear(x, weight, 0.3, { key: { seed: SEED, layer, step: 0 }, maskGradient: 'straight-through' })
  const expected = masked(relu(masked(x, net.li1.weight.tensor, 0)), net.li2.weight.tensor, 1)
  assert.equal(await net.call(x).read(), await expected.read())
  const white = linear(relu(linear(x, net.li1.weight.tensor)), net.li2.weight.tensor)
  net.noise = { kind: 'kakuritsu', p: 1 }
  assert.equal(await net.call(x).read(), await white.read())
  net.noise = { kind: 'plain' }
  assert.equal(await net.call(x).read(), await white.read())
})

test("Dropout drops half of the logits and doubles the others' scale", async () => {
  const { net, generator } = make('Dropout')
  net.noise = { kind: 'dropout', p: 1e-9 }
  const undisturbed = await net.call(x).read()
  net.noise = null
  let zeros = 0
  const STEPS = 200
  const sums = new Float64Array(undisturbed.length)
  for (let step = 0; step < STEPS; step++) {
    generator.moveTo({ step })
    const logits = await scope(() => net.call(x).read())
    for (const [i, value] of logits.entries()) {
      if (value === 0) zeros++
      sums[i] += value
    }
  }
  // A share of 13,200 coin tosses deviates by 0.0044; five times that is allowed.
  const share = zeros / (STEPS * undisturbed.length)
  assert.ok(Math.abs(share - 0.5) < 0.022, `${share} of the logits are dropped`)
  // Inverted scaling, before the ReLU as well, leaves each logit's expectation as it is. The noise of a logit is about
  // √3 times itself, and over 200 steps of 66 logits a few hundredths of it remain.
  const dot = (a: Float64Array, b: Float32Array) => a.reduce((sum, value, i) => sum + value * b[i], 0)
  const gain = dot(sums, undisturbed) / STEPS / dot(Float64Array.from(undisturbed), undisturbed)
  assert.ok(gain > 0.8 && gain < 1.2, `${gain}`)
})

for (const noise of noises)
  test(`any head can be evaluated with ${noise.kind}, alike in train and eval mode`, async () => {
    const results = archs.map((arch) => {
      const { net } = make(arch)
      net.noise = noise
      return [net.train().call(x).read(), net.eval().call(x).read()]
    })
    const [expected, ...others] = await Promise.all(results.flat())
    assert.is(expected.length, BATCH * CLASSES)
    assert.ok(expected.some((value) => value !== 0))
    for (const other of others) assert.equal(other, expected)
  })

for (const noise of noises.slice(0, 2))
  test(`${noise.kind} draws by seed and position, the same in batches of any split`, async () => {
    const { net, generator } = make('White')
    net.noise = noise
    const at = (position: Parameters<Generator['moveTo']>[0]) => {
      generator.moveTo(position)
      return net.call(x).read()
    }
    const [first, second, again, validation] = await Promise.all([
      at({ step: 1 }),
      at({ step: 2 }),
      at({ step: 1 }),
      at({ phase: 'validation', step: 1 }),
    ])
    assert.equal(again, first)
    assert.not.equal(second, first)
    assert.not.equal(validation, first)

    const split = 4
    const data = await x.read()
    const parts = [data.slice(0, split * FEATURES), data.slice(split * FEATURES)].map((part, i) => {
      generator.moveTo({ step: 1, sample: i * split })
      return net.call(Tensor.from(device, part, [part.length / FEATURES, FEATURES])).read()
    })
    assert.equal(
      (await Promise.all(parts)).flatMap((part) => [...part]),
      [...first],
    )
  })

test('the gradient of the mask is the one that was asked for', async () => {
  const gradient = async (options: Parameters<typeof make>[1]) => {
    const { net } = make('Kakuritsu', options)
    scope(() => backward(crossEntropy(net.call(x), Tensor.from(device, new Uint32Array(BATCH)))))
    return net.li1.weight.grad!.read()
  }
  assert.not.equal(await gradient({ maskGradient: 'exact' }), await gradient({}))
  assert.equal(await gradient({ maskGradient: 'exact', p: 1 }), await gradient({ p: 1 }))
})

test('rescaling divides both layers by p, forward and backward', async () => {
  const p = 0.25
  const { net } = make('Kakuritsu', { p, rescale: true })
  const masked = (x: Tensor, weight: Tensor, layer: number) =>
    scale(kakuritsuLinear(x, weight, p, { key: { seed: SEED, layer, step: 0 } }), 1 / p)
  const expected = masked(relu(masked(x, net.li1.weight.tensor, 0)), net.li2.weight.tensor, 1)
  assert.equal(await net.call(x).read(), await expected.read())

  const dLogits = Tensor.from(device, new Float32Array(BATCH * CLASSES).fill(1), [BATCH, CLASSES])
  const gradient = async (rescale: boolean) => {
    const { net } = make('Kakuritsu', { p, rescale })
    scope(() => backward(net.call(x), dLogits))
    return net.li2.weight.grad!.read()
  }
  const [rescaled, plain] = await Promise.all([gradient(true), gradient(false)])
  // The hidden cells are 1/p as large, and so is what the logits hand back. Powers of two round nothing.
  assert.equal(
    [...rescaled],
    [...plain].map((value) => value / p ** 2),
  )
})

test('a shared mask is one weight for all samples of a step, whatever the split', async () => {
  const { net, generator } = make('Kakuritsu', { sharedMask: true })
  generator.moveTo({ step: 3 })
  const masked = (x: Tensor, weight: Tensor, layer: number) =>
    dropConnectLinear(x, weight, 0.5, { key: { seed: SEED, layer, step: 3 } })
  const expected = masked(relu(masked(x, net.li1.weight.tensor, 0)), net.li2.weight.tensor, 1)
  assert.equal(await net.call(x).read(), await expected.read())
  const rows = Tensor.from(device, new Float32Array(4 * FEATURES).fill(1), [4, FEATURES])
  const logits = await net.call(rows).read()
  for (let b = 1; b < 4; b++) assert.equal(logits.slice(b * CLASSES, (b + 1) * CLASSES), logits.slice(0, CLASSES))
  generator.moveTo({ step: 3, sample: 2 })
  assert.equal(await net.call(rows).read(), logits)
})

test('Dropout may spare the logits', async () => {
  const { net } = make('Dropout', { keepLogits: true })
  const hidden = relu(dropout(linear(x, net.li1.weight.tensor), 0.5, { key: { seed: SEED, layer: 0, step: 0 } }))
  assert.equal(await net.call(x).read(), await linear(hidden, net.li2.weight.tensor).read())
})

test('a noise names only what differs from the original', () => {
  assert.equal(noiseOf('Kakuritsu', { rescale: false }), { kind: 'kakuritsu', p: 0.5 })
  assert.equal(noiseOf('Kakuritsu', { p: 0.3, sharedMask: true }), { kind: 'kakuritsu', p: 0.3, sharedMask: true })
  assert.equal(noiseOf('Dropout', { keepLogits: true }), { kind: 'dropout', p: 0.5, keepLogits: true })
})

test('a generator has places for 2^31 steps', () => {
  const generator = new Generator(SEED)
  generator.moveTo({ step: 2 ** 31 - 1 })
  assert.throws(() => generator.moveTo({ step: 2 ** 31 }), /a step is a whole number/)
})

test.run()
