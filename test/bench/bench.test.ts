/** What the benchmarks stand on: the list of shapes, the choice of what is checked, and the arithmetic of ratios. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { part, some } from '../../bench/check.ts'
import { ratio, timingOf } from '../../bench/measure.ts'
import { rowsOf } from '../../bench/report.ts'
import { CONVOLUTIONS, describe, MARKED } from '../../bench/resnet152.ts'
import { resnet152 } from '../../nn/index.ts'
import { nd, Random } from '../reference/nd.ts'

const test = suite('benchmarks')

test('know the convolutions of ResNet-152, as many of each kind as the network has', () => {
  const tally = (names: string[]) => [...names].sort().join('\n')
  const listed = CONVOLUTIONS.flatMap(({ kernel, channels, outputs, layers }) =>
    Array<string>(layers).fill(`${[kernel, kernel, channels, outputs]}`),
  )
  const weights = resnet152()
    .parameters()
    .filter(({ layout }) => layout === 'conv')
  assert.is(tally(listed), tally(weights.map(({ shape }) => `${shape}`)))
})

test('name each shape once, those with a bar among them', () => {
  const names = CONVOLUTIONS.map(describe)
  assert.is(new Set(names).size, names.length)
  for (const name of MARKED) assert.ok(names.includes(name), name)
})

test('check different elements, the last one always among them', () => {
  for (const below of [1, 5, 300]) {
    const chosen = some(new Random(below), below, 4)
    assert.is(chosen.length, Math.min(4, below))
    assert.is(new Set(chosen).size, chosen.length)
    assert.is(chosen.at(-1), below - 1)
  }
})

test('take parts of an array along any axes', () => {
  const values = Array.from({ length: 24 }, (_, i) => i)
  assert.equal(part(values, [2, 3, 4], [[1], null, [0, 3]]), nd([1, 3, 2], [12, 15, 16, 19, 20, 23]))
})

test('compare rounds with rounds, so that a drifting machine does not show', () => {
  // A machine that gets slower and slower, and a work that takes twice as long as the other.
  const base = timingOf([1, 2, 4, 8, 100])
  const work = timingOf([2, 4, 8, 16, 200])
  assert.is(base.seconds, 4)
  assert.is(ratio(work, base), 2)
})

test('see a memory-bound work beside the copy of its group, by bytes a second', () => {
  const works = [
    { name: 'copy', bytes: 2e9 },
    { name: 'forward', bytes: 3e9, against: 'copy' },
  ]
  const timings = [timingOf([1, 1, 1]), timingOf([2, 2, 2])]
  const [, forward] = rowsOf('family', 'group', { works, timings })
  assert.equal(forward.ratio, { to: 'copy', value: 2 })
  assert.is(forward.share, 0.75)
})

test.run()
