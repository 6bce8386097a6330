/** Norms over many tensors against float64, and what limits them. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { clipGradNorm, countTensors, newFirst, noteNonFinite, readFirst, totalNorm } from '../../engine/index.ts'
import { testDevice } from '../device.ts'
import { close, nd, Random } from '../reference/nd.ts'
import * as reference from '../reference/norm.ts'
import { ROUNDING, tensor } from './check.ts'

const test = suite('norm')

/** One element, no multiple of four, a slice of 4096 and one more, several slices. */
const SHAPES = [[1], [33, 7, 5], [64, 64], [4097], [7, 7, 64, 33]]

test('totalNorm is that of all elements of all tensors', async () => {
  const random = new Random(23)
  for (const shapes of [...SHAPES.map((shape) => [shape]), SHAPES]) {
    const given = shapes.map((shape) => random.normal(shape))
    const tensors = await Promise.all(given.map(tensor))
    const norm = totalNorm(tensors)
    close(await norm.read(), nd([], [reference.totalNorm(given)]), ROUNDING, `of ${JSON.stringify(shapes)}`)
    assert.equal(await totalNorm(tensors).read(), await norm.read(), 'the same bits again')
  }
})

for (const [what, maxNorm] of [
  ['larger', 1],
  ['smaller', 1e6],
  ['zero', 0],
] as const)
  test(`clipGradNorm to ${maxNorm}: gradients that are ${what}`, async () => {
    const random = new Random(29)
    const given = SHAPES.map((shape) => random.normal(shape))
    const expected = reference.clipGradNorm(given, maxNorm)
    const gradients = await Promise.all(given.map(tensor))
    const before = countTensors()
    const norm = clipGradNorm(gradients, maxNorm)
    assert.is(countTensors(), before + 1)
    close(await norm.read(), nd([], [expected.norm]), ROUNDING, 'norm')
    for (const [i, gradient] of gradients.entries())
      close(await gradient.read(), expected.clipped[i], ROUNDING, `gradient ${i}`)
  })

test('clipGradNorm scales a gradient that two parameters share once, and counts it twice', async () => {
  const gradient = await tensor(nd([2], [3, 4]))
  const norm = clipGradNorm([gradient, gradient], Math.SQRT2)
  close(await norm.read(), nd([], [Math.sqrt(50)]), ROUNDING, 'norm')
  close(await gradient.read(), nd([2], [0.6, 0.8]), ROUNDING, 'gradient')
})

test('of tensors that are not finite, the first noted is found', async () => {
  const device = await testDevice()
  const finite = await tensor(nd([4097], new Float64Array(4097).fill(3e38)))
  const values = (value: number) =>
    nd(
      [4099],
      Float64Array.from({ length: 4099 }, (_, i) => (i === 4098 ? value : -1)),
    )
  for (const wrong of [NaN, Infinity, -Infinity]) {
    const first = newFirst(device)
    noteNonFinite(finite, first, 0)
    assert.is(await readFirst(first), null)
    noteNonFinite(await tensor(values(wrong)), first, 7)
    noteNonFinite(finite, first, 3)
    noteNonFinite(await tensor(values(NaN)), first, 9)
    assert.is(await readFirst(first), 7)
  }
})

test.run()
