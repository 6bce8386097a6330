import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { pipelined } from '../../imagenet/loop.ts'
import { parseCount, parseHeadNoise, parseProbability, parseRate } from '../../imagenet/options.ts'
import { FeatureSet } from '../../imagenet/samples.ts'
import { testDevice } from '../device.ts'

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
      const x = input(device)
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
