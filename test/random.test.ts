import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { empty, scope, Tensor } from '../engine/index.ts'
import { Kernel } from '../engine/kernel.ts'
import {
  imageStream,
  keyWords,
  nameStream,
  Purpose,
  probabilityBits,
  Stream,
  shuffled,
  threefry4x32,
  type Words,
} from '../engine/random.ts'
import randomSource from '../engine/shaders/random.wgsl'
import { testDevice } from './device.ts'
import { answers } from './fixtures/threefry.ts'
import casesSource from './fixtures/threefry.wgsl'

const hex = (words: Words) => words.map((word) => word.toString(16).padStart(8, '0')).join(' ')

const generator = suite('random: Threefry4x32')

for (const { rounds, counter, key, answer } of answers)
  generator(`${rounds} rounds give the published answer for counter ${hex(counter)}`, () => {
    assert.is(hex(threefry4x32(counter, key, rounds)), hex(answer))
  })

generator('the shader gives the published answers of 13 rounds', async () => {
  const device = await testDevice()
  const known = answers.filter(({ rounds }) => rounds === 13)
  const words = await scope(() => {
    const cases = Tensor.from(device, Uint32Array.from(known.flatMap(({ counter, key }) => [...counter, ...key])))
    const out = empty(device, [known.length, 4], 'u32')
    new Kernel('threefry', [randomSource, casesSource]).run(device, { count: known.length }, [cases, out], [1])
    return out.readU32()
  })
  assert.is(known.length, 3)
  assert.equal(
    [...words],
    known.flatMap(({ answer }) => [...answer]),
  )
})

generator('a key is made of seed, layer and step, and refuses what it cannot hold', () => {
  assert.equal(keyWords({ seed: 5 * 2 ** 32 + 7, layer: 3, step: 9 }), [7, 5, 3, 9])
  assert.throws(() => keyWords({ seed: -1, layer: 0, step: 0 }), /seed is a whole number .* given -1/)
  assert.throws(() => keyWords({ seed: 2 ** 53, layer: 0, step: 0 }), /seed is a whole number/)
  assert.throws(() => keyWords({ seed: 0, layer: 2 ** 32, step: 0 }), /layer is a whole number/)
  assert.throws(() => keyWords({ seed: 0, layer: 0, step: 0.5 }), /step is a whole number .* given 0.5/)
})

generator('a probability is a number of units, never none or all', () => {
  assert.is(probabilityBits('op', 0.5, 2 ** 32), 2 ** 31)
  assert.is(probabilityBits('op', 0.3, 2 ** 16), 19661)
  assert.is(probabilityBits('op', 1e-12, 2 ** 16), 1)
  assert.is(probabilityBits('op', 1 - 1e-12, 2 ** 16), 2 ** 16 - 1)
  for (const p of [-0.1, 1.1, Number.NaN])
    assert.throws(() => probabilityBits('op', p, 2 ** 16), /op: p is a probability/)
})

generator.run()

const streams = suite('random: streams')

/** Standard deviations between a mean over `count` draws and its expectation. */
const z = (mean: number, expected: number, variance: number, count: number) =>
  (mean - expected) / Math.sqrt(variance / count)

streams('the same words whatever is drawn from them, from the counters in order', () => {
  const stream = new Stream([1, 2, 3, 4], Purpose.image)
  const drawn = Array.from({ length: 8 }, () => stream.next())
  const expected = [0, 1].flatMap((block) => threefry4x32([block, 0, 0, Purpose.image * 2 ** 24], [1, 2, 3, 4]))
  assert.equal(drawn, expected)
})

// Bounds of 5 standard deviations: the seeds are fixed, so a sound generator passes always, and a fair one drawn at
// random would miss one in 1.7 million.
streams('uniform numbers have the mean, variance and range of their interval', () => {
  const stream = nameStream(1, 'uniform')
  const count = 100_000
  const x = Array.from({ length: count }, () => stream.uniform(-1, 3))
  const variance = 16 / 12
  const fourth = 256 / 80
  const mean = x.reduce((sum, v) => sum + v, 0) / count
  const second = x.reduce((sum, v) => sum + (v - 1) ** 2, 0) / count
  assert.ok(Math.abs(z(mean, 1, variance, count)) < 5, `mean ${mean}`)
  assert.ok(Math.abs(z(second, variance, fourth - variance ** 2, count)) < 5, `variance ${second}`)
  assert.ok(x.every((v) => v >= -1 && v < 3))
})

streams('normal numbers have mean 0, variance 1 and kurtosis 3', () => {
  const stream = nameStream(1, 'normal')
  const count = 100_000
  const x = Array.from({ length: count }, () => stream.normal())
  const moment = (k: number) => x.reduce((sum, v) => sum + v ** k, 0) / count
  // Variances of x, x² and x⁴ for a normal x: 1, 2 and 105 − 9.
  assert.ok(Math.abs(z(moment(1), 0, 1, count)) < 5, `mean ${moment(1)}`)
  assert.ok(Math.abs(z(moment(2), 1, 2, count)) < 5, `variance ${moment(2)}`)
  assert.ok(Math.abs(z(moment(4), 3, 96, count)) < 5, `fourth moment ${moment(4)}`)
})

streams('below is even where its range does not divide 2^32', () => {
  const stream = nameStream(1, 'below')
  const range = 3 * 2 ** 30
  const count = 30_000
  // Words taken modulo 3·2^30 would fall into the first third half of the time.
  const inFirstThird = Array.from({ length: count }, () => stream.below(range)).filter((v) => v < 2 ** 30).length
  assert.ok(Math.abs(z(inFirstThird / count, 1 / 3, 2 / 9, count)) < 5, `${inFirstThird} of ${count}`)
})

streams('each epoch has its order, which holds every number once', () => {
  const [first, again, next] = [shuffled(1000, 7, 0), shuffled(1000, 7, 0), shuffled(1000, 7, 1)]
  assert.equal(first, again)
  const fixed = (a: Uint32Array, b: Uint32Array) => a.filter((v, i) => v === b[i]).length
  // Two orders drawn apart agree in one place on average (a Poisson count): 10 or more is one in 9 million.
  assert.ok(fixed(first, next) < 10, `epochs agree in ${fixed(first, next)} of 1000 places`)
  assert.equal(
    first.slice().sort(),
    Uint32Array.from({ length: 1000 }, (_, i) => i),
  )
})

streams('shuffles of three reach all six orders evenly', () => {
  const count = 6000
  const seen = new Map<string, number>()
  for (let epoch = 0; epoch < count; epoch++) {
    const order = shuffled(3, 11, epoch).join()
    seen.set(order, (seen.get(order) ?? 0) + 1)
  }
  assert.is(seen.size, 6)
  for (const [order, times] of seen)
    assert.ok(Math.abs(z(times / count, 1 / 6, 5 / 36, count)) < 5, `${order}: ${times} of ${count}`)
})

streams('names, seeds, epochs and images have streams of their own', () => {
  const firsts = [
    nameStream(1, 'exp.li1.weight'),
    nameStream(1, 'exp.li2.weight'),
    nameStream(2, 'exp.li1.weight'),
    nameStream(1, 'exp.li1.weight\0'),
    nameStream(1, 'a name of more than sixteen bytes, 1'),
    nameStream(1, 'a name of more than sixteen bytes, 2'),
    imageStream(1, 0, 0),
    imageStream(1, 0, 1),
    imageStream(1, 1, 0),
    imageStream(2, 0, 0),
  ].map((stream) => stream.next())
  assert.is(new Set(firsts).size, firsts.length)
  assert.is(nameStream(1, 'exp.li1.weight').next(), firsts[0])
})

streams.run()
