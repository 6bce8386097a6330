/** Several ranks, each a task with a device of its own, give what one gives. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { type Device, flatten, relu, scope, Tensor } from '../../engine/index.ts'
import { Loader } from '../../imagenet/data/loader.ts'
import type { Samples } from '../../imagenet/data/samples.ts'
import { FeatureSet, imageEpoch } from '../../imagenet/data/samples.ts'
import { openMnist } from '../../imagenet/data/sources/mnist.ts'
import { GradientBuckets } from '../../imagenet/parallel/buckets.ts'
import { divisionOf, partOf } from '../../imagenet/parallel/divide.ts'
import { Replicas } from '../../imagenet/parallel/replicas.ts'
import { evaluateStep, trainStep } from '../../imagenet/run/loop.ts'
import { BatchNorm2d, Conv2d, Generator, head, MaxPool2d, Module, pipe, SGD } from '../../nn/index.ts'
import { asRanks, closeRanks } from './ranks.ts'

const test = suite('replicas')
const { train: digits } = openMnist()

/** 24 images in batches of 7: 4 steps, the last of 3 images, of which a fourth rank has none. */
const IMAGES = { batchSize: 7, imageSize: 28, seed: 3, workers: 0, shuffle: true, limit: 24 }

test('ranks divide batches without overlap, in order, as evenly as can be', () => {
  for (const size of [1, 2, 3, 4, 7])
    for (let images = 1; images <= 20; images++) {
      const parts = Array.from({ length: size }, (_, rank) => divisionOf({ rank, size })(images))
      assert.is(parts[0][0], 0)
      assert.is(parts[size - 1][1], images)
      for (let rank = 1; rank < size; rank++) assert.is(parts[rank][0], parts[rank - 1][1])
      const counts = parts.map(([start, end]) => end - start)
      assert.ok(Math.max(...counts) - Math.min(...counts) <= 1)
      assert.ok(counts[0] > 0)
    }
})

test('a loader gives each rank its part of every batch: the same images in the same order, the same pixels', async () => {
  const batchesOf = async (divide?: ReturnType<typeof divisionOf>) => {
    const batches = []
    for await (const batch of new Loader(digits, { ...IMAGES, divide }).epoch(2)) batches.push(batch)
    return batches
  }
  const whole = await batchesOf()
  for (const size of [1, 2, 3, 4]) {
    const ranks = await Promise.all(Array.from({ length: size }, (_, rank) => batchesOf(divisionOf({ rank, size }))))
    for (const [step, batch] of whole.entries()) {
      const parts = ranks.map((batches) => batches[step])
      assert.equal(
        parts.flatMap(({ indices }) => [...indices]),
        [...batch.indices],
      )
      const pixels = ({ pixels, size }: typeof batch) => [...pixels.subarray(0, size * 28 * 28 * 3)]
      assert.equal(parts.flatMap(pixels), pixels(batch))
      let first = 0
      for (const { part, size } of parts) {
        assert.equal(part, { first, total: batch.size })
        first += size
      }
    }
  }
})

/** Two convolutions with BatchNorm under a Kakuritsu head: all that a real network has whose parts ranks must join. */
class Net extends Module {
  conv1 = new Conv2d(3, 8, 3, { stride: 2, bias: false })
  bn1 = new BatchNorm2d(8)
  conv2 = new Conv2d(8, 12, 3, { stride: 2, bias: false })
  bn2 = new BatchNorm2d(12)
  pool = new MaxPool2d(6)
  readonly exp

  constructor(generator: Generator) {
    super()
    this.exp = head('Kakuritsu', { features: 12, hidden: 20, classes: 10, maskGradient: 'exact', generator })
  }

  override forward(x: Tensor): Tensor {
    return pipe(x, this.conv1, this.bn1, relu, this.conv2, this.bn2, relu, this.pool, flatten, this.exp)
  }
}

interface Trained {
  weights: Float32Array[]
  statistics: Float32Array[]
  losses: number[]
  accuracy: number[]
}

/** Trains over some epochs' batches as a rank among others. */
async function trained<M extends Module>(
  device: Device,
  model: M,
  generator: Generator,
  peers: Replicas | undefined,
  batches: AsyncIterable<Samples> | Iterable<Samples>,
): Promise<Trained> {
  const optimizer = new SGD(model.parameters(), { lr: 0.05, momentum: 0.9, weightDecay: 1e-4 })
  const results = []
  let step = 0
  for await (const batch of batches) {
    const position = step++
    const beforePass = (sample: number) => generator.moveTo({ step: position, sample })
    results.push(trainStep(device, model, optimizer, batch, { beforePass, peers }))
  }
  const numbers = await Promise.all(results)
  await peers?.shareStatistics()
  const read = (tensors: Tensor[]) => Promise.all(tensors.map((tensor) => tensor.read()))
  const buffers = [...model.modules()].flatMap((layer) =>
    layer instanceof BatchNorm2d ? [layer.runningMean.tensor, layer.runningVar.tensor] : [],
  )
  const weights = await read(model.parameters().map(({ tensor }) => tensor))
  const statistics = await read(buffers)
  optimizer.zeroGrad()
  optimizer.free()
  model.free()
  return {
    weights,
    statistics,
    losses: numbers.map(({ loss }) => loss),
    accuracy: numbers.map(({ correct1, size }) => correct1 / size),
  }
}

const params = (model: Module) => model.parameters().map(({ tensor }) => tensor)

function fromZero(size: number, syncBn: boolean): Promise<Trained[]> {
  return asRanks(size, async (comm, device) => {
    const generator = new Generator(3)
    const model = new Net(generator).to(device, { seed: 3 })
    const peers = size === 1 ? undefined : new Replicas(comm, model, model.parameters(), syncBn)
    return trained(
      device,
      model,
      generator,
      peers,
      imageEpoch(new Loader(digits, { ...IMAGES, divide: peers?.divide }), 0),
    )
  })
}

const worst = (a: Float32Array[], b: Float32Array[]) =>
  Math.max(...a.flatMap((values, i) => [...values].map((value, j) => Math.abs(value - b[i][j]))))

/**
 * Sums in another order round otherwise: by parts in 10⁷ of weights and gradients near 1, which four steps through two
 * layers of BatchNorm make a few hundred times as large.
 */
const NEAR = 1e-4

test('training from zero with joined BatchNorm gives the same weights on 1, 2, 3 and 4 ranks, some without images', async () => {
  const [one] = await fromZero(1, false)
  const [start] = await Promise.all([
    asRanks(1, async (_, device) => {
      const model = new Net(new Generator(3)).to(device, { seed: 3 })
      const weights = await Promise.all(params(model).map((tensor) => tensor.read()))
      model.free()
      return weights
    }),
  ])
  assert.ok(worst(start[0], one.weights) > 100 * NEAR, 'training moves the weights')
  for (const size of [2, 3, 4]) {
    const ranks = await fromZero(size, true)
    for (const rank of ranks) {
      assert.equal(rank.weights, ranks[0].weights, 'all ranks hold the same bits')
      assert.equal(rank.losses, ranks[0].losses)
      assert.ok(worst(rank.weights, one.weights) < NEAR, `${worst(rank.weights, one.weights)}`)
      assert.ok(worst(rank.statistics, one.statistics) < NEAR)
      assert.equal(rank.accuracy, one.accuracy)
      for (const [step, loss] of rank.losses.entries()) assert.ok(Math.abs(loss - one.losses[step]) < NEAR)
    }
  }
})

test('with BatchNorm to each rank by itself, all hold the same weights and, for evaluation, rank 0’s statistics', async () => {
  const ranks = await fromZero(3, false)
  for (const rank of ranks) {
    assert.equal(rank.weights, ranks[0].weights)
    assert.equal(rank.statistics, ranks[0].statistics)
  }
})

test('a Kakuritsu head on features gives the same weights on 1, 2, 3 and 4 ranks', async () => {
  const features = new FeatureSet(
    Float32Array.from({ length: 24 * 12 }, (_, i) => Math.sin(i)),
    Uint32Array.from({ length: 24 }, (_, i) => i % 3),
  )
  const onRanks = (size: number) =>
    asRanks(size, async (comm, device) => {
      const generator = new Generator(5)
      const model = head('Kakuritsu', { features: 12, hidden: 33, classes: 3, generator }).to(device, { seed: 5 })
      const peers = size === 1 ? undefined : new Replicas(comm, model, model.parameters(), false)
      const whole = [...features.batches(7, { seed: 5, epoch: 0 })]
      const batches = peers ? whole.map((batch) => partOf(batch, peers.divide)) : whole
      return trained(device, model, generator, peers, batches)
    })
  const [one] = await onRanks(1)
  for (const size of [2, 3, 4])
    for (const rank of await onRanks(size)) {
      assert.ok(worst(rank.weights, one.weights) < 1e-6)
      assert.equal(rank.accuracy, one.accuracy)
    }
})

test('validation counts every image once, whatever the division', async () => {
  const features = new FeatureSet(
    Float32Array.from({ length: 10 * 4 }, (_, i) => Math.cos(i)),
    Uint32Array.from({ length: 10 }, (_, i) => i % 3),
  )
  const onRanks = (size: number) =>
    asRanks(size, async (comm, device) => {
      const generator = new Generator(6)
      const model = head('White', { features: 4, hidden: 9, classes: 3, generator }).to(device, { seed: 6 })
      const peers = new Replicas(comm, model, [], false)
      const results = []
      for (const batch of features.batches(3))
        results.push(await peers.reduce(evaluateStep(device, model, partOf(batch, peers.divide))))
      model.free()
      return results
    })
  const [one] = await onRanks(1)
  assert.equal(
    one.map(({ size }) => size),
    [3, 3, 3, 1],
  )
  for (const size of [2, 4])
    for (const rank of await onRanks(size))
      for (const [i, { size, correct1, loss }] of rank.entries()) {
        assert.equal([size, correct1], [one[i].size, one[i].correct1])
        assert.ok(Math.abs(loss - one[i].loss) < 1e-6)
      }
})

test('buckets leave in one order as gradients come, and every gradient becomes the sum over ranks', async () => {
  const sums = await asRanks(2, async (comm, device) => {
    const tensors = [1, 2, 3, 4].map((n) => Tensor.from(device, new Float32Array(n)))
    const asked: number[] = []
    const counting = {
      sum: (values: Parameters<typeof comm.sum>[0]) => {
        asked.push(tensors.filter(({ grad }) => grad).length)
        return comm.sum(values)
      },
    } as typeof comm
    // Of 12 bytes: the last two parameters fill a bucket each, the first two share one.
    const buckets = new GradientBuckets(counting, tensors, 12)
    // The second but last is complete first: it must wait for the last, whose bucket leaves first.
    for (const i of [2, 3, 0, 1]) {
      tensors[i].grad = Tensor.from(device, new Float32Array(i + 1).fill(comm.rank + i))
      buckets.complete(tensors[i])
    }
    buckets.finish(Promise.resolve(0.5))
    assert.equal(asked, [2, 2, 4])
    const grads = await Promise.all(tensors.map(({ grad }) => grad!.read()))
    for (const tensor of tensors) tensor.grad!.release()
    return grads.map((grad) => [...grad])
  })
  for (const rank of sums) assert.equal(rank, [[0.5], [1.5, 1.5], [2.5, 2.5, 2.5], [3.5, 3.5, 3.5, 3.5]])
})

test('a loss that is no number ends the step before its update', async () => {
  const weights = await asRanks(2, async (comm, device) => {
    const generator = new Generator(5)
    const model = head('White', { features: 2, hidden: 3, classes: 2, generator }).to(device, { seed: 5 })
    const peers = new Replicas(comm, model, model.parameters(), false)
    const before = await params(model)[0].read()
    const optimizer = new SGD(model.parameters(), { lr: 1 })
    const set = new FeatureSet(Float32Array.of(1, 2, NaN, 4), Uint32Array.of(0, 1))
    const [batch] = set.batches(2)
    const step = trainStep(device, model, optimizer, partOf(batch, peers.divide), { peers })
    if (comm.rank === 1) {
      const message = await step.then(
        () => '',
        (error: Error) => error.message,
      )
      assert.match(message, /diverged: the loss is NaN/)
      assert.match(
        await device.idle().then(
          () => '',
          ({ message }: Error) => message,
        ),
        /diverged/,
      )
      device.dropKeptBack()
      assert.equal(await params(model)[0].read(), before)
      await comm.sum(new Float64Array(1)) // in place of the word that ends rank 0
    } else await step.catch(() => {})
    return scope(() => 0)
  })
  assert.is(weights.length, 2)
})

test.after(closeRanks)
test.run()
