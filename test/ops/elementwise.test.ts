/** What the table does not see of the elementwise ops: NaN, and refusals. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { add, addRelu, relu, scope } from '../../engine/index.ts'
import { nd } from '../reference/nd.ts'
import { tensor } from './check.ts'

const test = suite('elementwise')

test('relu keeps NaN, so that a network that diverges shows it', async () => {
  const [x, zeros] = [await tensor(nd([4], [NaN, -Infinity, Infinity, -0])), await tensor(nd([4]))]
  for (const y of scope(() => [relu(x), addRelu(x, zeros)])) {
    const [nan, low, high, zero] = await y.read()
    assert.ok(Number.isNaN(nan))
    assert.equal([low, high], [0, Infinity])
    assert.ok(zero === 0)
  }
})

test('add refuses tensors of two shapes', async () => {
  const [a, b] = [await tensor(nd([2, 3])), await tensor(nd([3, 2]))]
  assert.throws(() => add(a, b), /add takes two tensors of one shape, given \[2, 3\] and \[3, 2\]/)
})

test.run()
