import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { type Device, Tensor } from '../../../engine/index.ts'
import { FeatureSet } from '../../../imagenet/data/samples.ts'
import { evaluateStep, pipelined, type TrainStepOptions, trainStep } from '../../../imagenet/run/loop.ts'
import { parseCount, parseHeadNoise, parseProbability, parseRate } from '../../../imagenet/run/options.ts'
import { BatchNorm2d, Conv2d, Flatten, Generator, head, Linear, ReLU, Sequential, SGD } from '../../../nn/index.ts'
import { testDevice } from '../../device.ts'

const test = suite('loops and their batches')

test('pipelined gives results in order and runs a bounded way ahead', async () => {
  let started = 0
  let ahead = 0
  const results: number[] = []
  const work = async (item: number) => {
    started++
    await new Promise((resolve) => setTimeout(resolve, item % 2 ? 5 : 1))
    return item
  }
  for await (const result of pipelined([0, 1, 2, 3, 4, 5, 6], work)) {
    ahead = Math.max(ahead, started - results.length)
    results.push(result)
  }
  assert.equal(results, [0, 1, 2, 3, 4, 5, 6])
  assert.is(ahead, 3)
})

test('pipelined stops when asked to, and still gives what is under way', async () => {
  const results: number[] = []
  for await (const result of pipelined(
    [0, 1, 2, 3, 4, 5],
    async (item) => item,
    () => results.length > 0,
  ))
    results.push(result)
  assert.equal(results, [0, 1, 2])
})

test('pipelined fails where its work fails', async () => {
  const work = async (item: number) => {
    if (item === 1) throw new Error('one is wrong')
    return item
  }
  const results: number[] = []
  try {
    for await (const result of pipelined([0, 1, 2], work)) results.push(result)
    assert.unreachable()
  } catch (error) {
    assert.is((error as Error).message, 'one is wrong')
  }
  assert.equal(results, [0])
})

test('pipelined hears of work that fails while it waits for the next item', async () => {
  const slow = async function* () {
    yield 0
    await new Promise((resolve) => setTimeout(resolve, 5))
    yield 1
  }
  const unheard: unknown[] = []
  const hear = (reason: unknown) => unheard.push(reason)
  process.on('unhandledRejection', hear)
  try {
    for await (const _ of pipelined(slow(), () => Promise.reject(new Error('it is wrong')))) assert.unreachable()
    assert.unreachable()
  } catch (error) {
    assert.is((error as Error).message, 'it is wrong')
  } finally {
    process.off('unhandledRejection', hear)
  }
  assert.equal(unheard, [])
})

test('micro-batches give the step that the whole batch gives, masks included', async () => {
  const device = await testDevice()
  const rows = new FeatureSet(
    Float32Array.from({ length: 7 * 5 }, (_, i) => Math.sin(i)),
    Uint32Array.of(0, 1, 2, 0, 1, 2, 0),
  )
  const [batch] = [...rows.batches(7)]
  const stepped = async (microBatch?: number) => {
    const generator = new Generator(3)
    const net = head('Kakuritsu', { features: 5, hidden: 9, classes: 3, generator, maskGradient: 'exact' }).to(device)
    const optimizer = new SGD(net.parameters(), { lr: 0.5 })
    const beforePass = (sample: number) => generator.moveTo({ step: 4, sample })
    const result = await trainStep(device, net, optimizer, batch, { microBatch, beforePass })
    const weights = await Promise.all(net.parameters().map(({ tensor }) => tensor.read()))
    net.free()
    return { result, weights: weights.flatMap((values) => [...values]) }
  }
  const whole = await stepped()
  for (const microBatch of [3, 1, 100]) {
    const { result, weights } = await stepped(microBatch)
    assert.is(result.size, 7)
    assert.is(result.correct1, whole.result.correct1)
    assert.ok(Math.abs(result.loss - whole.result.loss) < 1e-5)
    // Sums of at most 7 products in another order: a few roundings of numbers near 1.
    const errors = weights.map((weight, i) => Math.abs(weight - whole.weights[i]))
    assert.ok(Math.max(...errors) < 1e-5)
  }
})

test('a parameter moves as soon as its gradient is complete, to the same bits, and the gradient is forgotten', async () => {
  const device = await testDevice()
  const pixels = Float32Array.from({ length: 4 * 5 * 5 * 4 }, (_, i) => Math.sin(i))
  const input = (device: Device, start: number, end: number) =>
    Tensor.from(device, pixels.subarray(start * 100, end * 100), [end - start, 5, 5, 4])
  const batch = { labels: Uint32Array.of(0, 1, 2, 0), input }
  const trained = async (options: TrainStepOptions) => {
    // The first weight is moved by the kernel of its gradient, the second when both of its gradients are there.
    const twice = new Conv2d(8, 8, 3, { padding: 1 })
    const layers = [new Conv2d(4, 8, 3), new BatchNorm2d(8), twice, new ReLU(), twice, new Flatten(), new Linear(72, 3)]
    const net = new Sequential(...layers).to(device, { seed: 5 })
    const optimizer = new SGD(net.parameters(), { lr: 0.1, momentum: 0.9, weightDecay: 0.01 })
    for (let step = 0; step < 3; step++) await trainStep(device, net, optimizer, batch, options)
    const states = [await net.stateDict(), (await optimizer.stateDict()).tensors]
    const kept = net.parameters().filter(({ grad }) => grad).length
    net.free()
    optimizer.free()
    return { states, kept }
  }
  for (const microBatch of [4, 2]) {
    const [atOnce, together] = [await trained({ microBatch }), await trained({ microBatch, gradNorm: true })]
    assert.is(atOnce.kept, 0)
    assert.ok(together.kept > 0)
    assert.equal(atOnce.states, together.states)
  }
})

test('a batch that is empty, its files being corrupt, changes nothing', async () => {
  const device = await testDevice()
  const exp = head('White', { features: 3, classes: 2, generator: new Generator(0) }).to(device, { seed: 1 })
  const optimizer = new SGD(exp.parameters(), { lr: 1, momentum: 0.9, weightDecay: 0.1 })
  const before = await exp.stateDict()
  const empty = { labels: new Uint32Array(0), input: () => assert.unreachable('nothing was asked for') as never }
  const nothing = { size: 0, loss: 0, correct1: 0, correct5: 0 }
  assert.equal(await trainStep(device, exp, optimizer, empty), nothing)
  assert.equal(await evaluateStep(device, exp, empty), nothing)
  assert.equal(await exp.stateDict(), before)
  optimizer.free()
  exp.free()
})

test('a feature set gives every row once, in the order of its epoch, with its label', async () => {
  const device = await testDevice()
  const rows = new FeatureSet(
    Float32Array.from({ length: 14 }, (_, i) => i),
    Uint32Array.of(0, 1, 2, 3, 4, 5, 6),
  )
  assert.is(rows.steps(3), 3)
  const seen = async (order?: { seed: number; epoch: number }) => {
    const all: number[] = []
    for (const { input, labels } of rows.batches(3, order)) {
      const x = input(device, 0, labels.length)
      const data = await x.read()
      x.release()
      assert.equal(
        [...data],
        [...labels].flatMap((label) => [2 * label, 2 * label + 1]),
      )
      all.push(...labels)
    }
    return all
  }
  assert.equal(await seen(), [0, 1, 2, 3, 4, 5, 6])
  const shuffled = await seen({ seed: 1, epoch: 0 })
  assert.equal([...shuffled].sort(), [0, 1, 2, 3, 4, 5, 6])
  assert.equal(await seen({ seed: 1, epoch: 0 }), shuffled)
  assert.is.not(String(await seen({ seed: 1, epoch: 1 })), String(shuffled))
})

test('options are read strictly', () => {
  assert.equal(parseHeadNoise('dropout:0.25'), { kind: 'dropout', p: 0.25 })
  assert.equal(parseHeadNoise('plain'), { kind: 'plain' })
  assert.is(parseProbability('--p', '1'), 1)
  assert.is(parseCount('-b', '64'), 64)
  assert.is(parseRate('--lr', '1e-3'), 0.001)
  for (const text of ['', ' ', 'x', '-0.1', 'NaN']) assert.throws(() => parseProbability('--p', text), /probability/)
  for (const text of ['', '1.5', '0', '-1', '1e99']) assert.throws(() => parseCount('-b', text), /whole number from 1/)
  for (const text of ['', '-1', 'Infinity']) assert.throws(() => parseRate('--lr', text), /not negative/)
})

test.run()
