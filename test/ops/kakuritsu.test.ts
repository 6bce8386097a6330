/** What the table does not see of the Kakuritsu layer: its masks' bits and statistics, parts of a step, and edges. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { scope, Tensor } from '../../engine/index.ts'
import { kakuritsuLinear, kakuritsuSharing } from '../../engine/ops/kakuritsu.ts'
import { linear } from '../../engine/ops/matmul.ts'
import type { Key } from '../../engine/random.ts'
import { testDevice } from '../device.ts'
import { mask, kakuritsuLinear as reference } from '../reference/kakuritsu.ts'
import { nd, Random } from '../reference/nd.ts'
import { checkOp, tensor } from './check.ts'

const KEY: Key = { seed: 2024, layer: 1, step: 17 }

/** Mask bits of a layer, [samples, cells, inputs]. */
interface Bits {
  samples: number
  cells: number
  inputs: number
  bits: Uint8Array
}

/**
 * The bits that the forward kernel uses. With weights of 1 and x holding 2^0 … 2^23 in 24 inputs and 0 elsewhere, an
 * output holds 24 bits of its mask, exactly.
 */
async function drawn(key: Key, p: number, samples: number, cells: number, inputs: number, sampleOffset = 0) {
  const device = await testDevice()
  const ones = Tensor.from(device, new Float32Array(inputs * cells).fill(1), [inputs, cells])
  const bits = new Uint8Array(samples * cells * inputs)
  for (let start = 0; start < inputs; start += 24) {
    const used = Math.min(24, inputs - start)
    const x = new Float32Array(samples * inputs)
    for (let b = 0; b < samples; b++) for (let k = 0; k < used; k++) x[b * inputs + start + k] = 2 ** k
    const y = await scope(() => {
      const powers = Tensor.from(device, x, [samples, inputs])
      return kakuritsuLinear(powers, ones, p, { key, maskGradient: 'exact', sampleOffset }).read()
    })
    y.forEach((sum, i) => {
      for (let k = 0; k < used; k++) bits[i * inputs + start + k] = (sum >>> k) & 1
    })
  }
  ones.release()
  return { samples, cells, inputs, bits } satisfies Bits
}

const bitsTest = suite('kakuritsuLinear: the mask')

// Blocks of 16 samples, 4 cells and 4 inputs that are partly filled, and rows of whole vectors and not; rows of a texture that
// hold several of a matrix, or one.
for (const [samples, cells, inputs] of [
  [1, 1, 1],
  [7, 33, 65],
  [35, 36, 68],
  [17, 64, 64],
])
  for (const p of [0.5, 0.25, 0.3, 1 / 3, 2 ** -16, 1 - 2 ** -16, 1 / 32 + 2 ** -32])
    bitsTest(`has the reference's bits: [${samples}, ${cells}, ${inputs}], p = ${p.toPrecision(3)}`, async () => {
      const { bits } = await drawn(KEY, p, samples, cells, inputs)
      const expected = mask(KEY, p)
      let at = 0
      for (let b = 0; b < samples; b++)
        for (let n = 0; n < cells; n++)
          for (let i = 0; i < inputs; i++, at++)
            assert.is(bits[at], Number(expected(b, n, i)), `sample ${b}, cell ${n}, input ${i}`)
    })

bitsTest('is the same for a step computed in parts, whatever the parts', async () => {
  const whole = await drawn(KEY, 0.3, 23, 40, 70)
  const row = 40 * 70
  for (const [from, to] of [
    [0, 1],
    [1, 9],
    [9, 11],
    [11, 23],
  ]) {
    const part = await drawn(KEY, 0.3, to - from, 40, 70, from)
    assert.equal(part.bits, whole.bits.subarray(from * row, to * row), `samples ${from} to ${to}`)
  }
})

bitsTest.run()

const statistics = suite('kakuritsuLinear: mask statistics')

/**
 * The bound on every statistic below, in standard deviations. The key is fixed, so a sound generator passes always; of
 * keys drawn at random, one in 1.7 million would miss it (a normal statistic), so that the hundred checks here together
 * would miss it for one key in 17,000.
 */
const Z = 5
const [SAMPLES, CELLS, INPUTS] = [64, 72, 192]

const variance = (p: number) => p * (1 - p)

/** How far the share of ones is from p. */
const meanZ = ({ bits }: Bits, p: number) => {
  const ones = bits.reduce((sum, bit) => sum + bit, 0)
  return (ones - bits.length * p) / Math.sqrt(bits.length * variance(p))
}

/** How far the covariance of a(s, n, i) and b(s + ds, n + dn, i + di), over all places that both have, is from 0. */
function covarianceZ(a: Bits, b: Bits, p: number, [ds, dn, di]: readonly number[]): number {
  let [sum, count] = [0, 0]
  for (let s = Math.max(0, -ds); s < Math.min(a.samples, a.samples - ds); s++)
    for (let n = Math.max(0, -dn); n < Math.min(a.cells, a.cells - dn); n++)
      for (let i = Math.max(0, -di); i < Math.min(a.inputs, a.inputs - di); i++, count++)
        sum +=
          (a.bits[(s * a.cells + n) * a.inputs + i] - p) *
          (b.bits[((s + ds) * b.cells + n + dn) * b.inputs + i + di] - p)
  return sum / (variance(p) * Math.sqrt(count))
}

/** How far the sum of squares of `groups` standardised means is from what independent bits give (χ², made normal). */
function spreadZ({ bits }: Bits, p: number, groups: number, groupOf: (at: number) => number): number {
  const ones = new Float64Array(groups)
  bits.forEach((bit, at) => {
    ones[groupOf(at)] += bit
  })
  const size = bits.length / groups
  const square = ones.reduce((sum, value) => sum + (value - size * p) ** 2 / (size * variance(p)), 0)
  return (square - groups) / Math.sqrt(2 * groups)
}

/**
 * How far the counts of patterns of 8 bits, `step` inputs apart, are from independence (χ², made normal). Patterns
 * expected less than 5 times are counted together, as χ² wants it.
 */
function patternZ({ bits, inputs }: Bits, p: number, step: number): number {
  const counts = new Float64Array(256)
  for (let row = 0; row < bits.length; row += inputs)
    for (let i = 0; i + 7 * step < inputs; i++) {
      if (Math.floor(i / step) % 8 !== 0) continue
      let pattern = 0
      for (let k = 0; k < 8; k++) pattern |= bits[row + i + k * step] << k
      counts[pattern]++
    }
  const patterns = counts.reduce((sum, count) => sum + count, 0)
  let [square, classes, rare, expectedRare] = [0, 0, 0, 0]
  const add = (count: number, expected: number) => {
    square += (count - expected) ** 2 / expected
    classes++
  }
  counts.forEach((count, pattern) => {
    const ones = pattern.toString(2).replaceAll('0', '').length
    const expected = patterns * p ** ones * (1 - p) ** (8 - ones)
    if (expected >= 5) add(count, expected)
    else {
      rare += count
      expectedRare += expected
    }
  })
  if (expectedRare > 0) add(rare, expectedRare)
  return (square - (classes - 1)) / Math.sqrt(2 * (classes - 1))
}

/** Steps to neighbours in a block of the generator's 16 samples, 4 cells and 4 inputs, and from block to block. */
const SHIFTS = [
  [0, 0, 1],
  [0, 0, 2],
  [0, 0, 4],
  [0, 1, 0],
  [0, 2, 0],
  [0, 4, 0],
  [1, 0, 0],
  [8, 0, 0],
  [16, 0, 0],
  [1, 1, 1],
  [-1, 0, 1],
  [5, 2, -1],
  // The original seeded its generator with cell + sample: these two shared their whole mask.
  [-1, 1, 0],
]

// p of few digits, of many, and one whose synapses that take part have all been tied after 5 digits, so that nothing but what
// components share, and the words drawn for ties, decides.
for (const p of [0.5, 0.3, 0.9, 0.25, 1 / Math.PI, 2 ** -6 + 2 ** -13])
  statistics(`means, patterns and neighbours at p = ${p}`, async () => {
    const own = await drawn(KEY, p, SAMPLES, CELLS, INPUTS)
    const measured: [string, number][] = [
      ['mean', meanZ(own, p)],
      ['means of samples', spreadZ(own, p, SAMPLES, (at) => Math.floor(at / (CELLS * INPUTS)))],
      ['means of cells', spreadZ(own, p, CELLS, (at) => Math.floor(at / INPUTS) % CELLS)],
      ['means of inputs', spreadZ(own, p, INPUTS, (at) => at % INPUTS)],
      ...[1, 8].map((step): [string, number] => [`patterns, ${step} apart`, patternZ(own, p, step)]),
      ...SHIFTS.map((shift): [string, number] => [`covariance at ${shift}`, covarianceZ(own, own, p, shift)]),
    ]
    for (const change of [{ step: KEY.step + 1 }, { layer: KEY.layer + 1 }, { seed: KEY.seed + 1 }]) {
      const other = await drawn({ ...KEY, ...change }, p, SAMPLES, CELLS, INPUTS)
      measured.push([`covariance with ${JSON.stringify(change)}`, covarianceZ(own, other, p, [0, 0, 0])])
    }
    for (const [name, z] of measured) assert.ok(Math.abs(z) < Z, `${name}: ${z} standard deviations`)
  })

statistics('find what they look for in a mask seeded as the original was', () => {
  const [samples, cells, inputs] = [16, 24, 64]
  const bits = new Uint8Array(samples * cells * inputs)
  const byCell = mask(KEY, 0.5)
  for (let at = 0; at < bits.length; at++) {
    const [sample, cell] = [Math.floor(at / (cells * inputs)), Math.floor(at / inputs) % cells]
    bits[at] = Number(byCell(0, cell + sample, at % inputs))
  }
  const faulty = { samples, cells, inputs, bits }
  assert.ok(covarianceZ(faulty, faulty, 0.5, [-1, 1, 0]) > Z)
  assert.ok(spreadZ(faulty, 0.5, inputs, (at) => at % inputs) > Z)
  assert.ok(Math.abs(meanZ(faulty, 0.4)) > Z)
})

statistics.run()

const edges = suite('kakuritsuLinear: edges')
const random = new Random(3)

edges('p = 1 is the plain layer, bit for bit', async () => {
  const [x, weight] = [await tensor(random.normal([33, 65])), await tensor(random.normal([65, 40]))]
  const [masked, plain] = scope(() => [
    kakuritsuLinear(x, weight, 1, { key: KEY, maskGradient: 'exact' }).read(),
    linear(x, weight).read(),
  ])
  assert.equal(new Uint32Array((await masked).buffer), new Uint32Array((await plain).buffer))
})

edges('synapses that take no part pass on neither infinity nor NaN', async () => {
  const x = await tensor(nd([1, 3], [Infinity, NaN, 2]))
  const weight = await tensor(nd([3, 1], [1, 1, 1]))
  const only = Array.from({ length: 1000 }, (_, step): Key => ({ ...KEY, step })).find((key) => {
    const takesPart = mask(key, 0.5)
    return [0, 1, 2].map((i) => takesPart(0, 0, i)).join() === 'false,false,true'
  })
  const y = await scope(() => kakuritsuLinear(x, weight, 0.5, { key: only!, maskGradient: 'exact' }).read())
  assert.equal([...y], [2])
})

for (const [batch, inputs, cells] of [
  [0, 3, 2],
  [2, 0, 3],
  [2, 3, 0],
])
  edges(`sums nothing to zeros: [${batch}, ${inputs}] · [${inputs}, ${cells}]`, () =>
    checkOp({
      name: 'empty',
      inputs: { x: nd([batch, inputs]), weight: nd([inputs, cells]) },
      op: ({ x, weight }) => kakuritsuLinear(x, weight, 0.3, { key: KEY, maskGradient: 'exact' }),
      reference: ({ x, weight }) => reference(x, weight, { takesPart: mask(KEY, 0.3), maskGradient: 'exact' }),
    }),
  )

edges('takes matrices that no texture holds', async () => {
  const { device } = await tensor(nd([1]))
  const cells = 4 * (device.limits.maxTextureDimension2D / 16 + 1)
  await checkOp({
    name: 'wide',
    inputs: { x: random.normal([2, 5]), weight: random.normal([5, cells]) },
    op: ({ x, weight }) => kakuritsuLinear(x, weight, 0.3, { key: KEY, maskGradient: 'exact' }),
    reference: ({ x, weight }) => reference(x, weight, { takesPart: mask(KEY, 0.3), maskGradient: 'exact' }),
  })
})

edges('says what is wrong', async () => {
  const [x, weight] = [await tensor(nd([2, 3])), await tensor(nd([4, 5]))]
  const options = { key: KEY, maskGradient: 'exact' } as const
  assert.throws(() => kakuritsuLinear(x, weight, 0.5, options), /weight expects 4 inputs, x has 3 \(x is \[2, 3\]\)/)
  const square = await tensor(nd([3, 3]))
  assert.throws(() => kakuritsuLinear(x, square, 1.5, options), /p is a probability in \[0, 1\], given 1.5/)
  assert.throws(
    () => kakuritsuLinear(x, square, 0.5, { ...options, key: { ...KEY, step: -1 } }),
    /step is a whole number from 0/,
  )
})

for (const sharing of ['subgroup', 'each'] as const)
  for (const [inputs, cells] of [
    [36, 20],
    [33, 18],
  ])
    for (const p of [0.5, 0.3])
      edges(`every adapter's form gives the same: ${sharing}, [${inputs}, ${cells}], p = ${p}`, async () => {
        const device = await testDevice()
        if (sharing === 'subgroup' && (device.subgroups?.min ?? 0) < 8) return
        kakuritsuSharing.name = sharing
        try {
          await checkOp({
            name: sharing,
            inputs: { x: random.normal([21, inputs]), weight: random.normal([inputs, cells]) },
            op: ({ x, weight }) => kakuritsuLinear(x, weight, p, { key: KEY, maskGradient: 'exact', sampleOffset: 9 }),
            reference: ({ x, weight }) =>
              reference(x, weight, { takesPart: mask(KEY, p), maskGradient: 'exact', sampleOffset: 9 }),
          })
        } finally {
          kakuritsuSharing.name = null
        }
      })

edges.run()
