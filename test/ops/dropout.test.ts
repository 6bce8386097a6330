/** What the table does not see of dropout: its mask's statistics, parts of a step, and edges. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { scope, Tensor } from '../../engine/index.ts'
import { dropout } from '../../engine/ops/dropout.ts'
import type { Key } from '../../engine/random.ts'
import { testDevice } from '../device.ts'
import { nd } from '../reference/nd.ts'
import { tensor } from './check.ts'

const test = suite('dropout')
const KEY: Key = { seed: 5, layer: 2, step: 3 }

/** 1 for each element of [rows, features] that is kept, else 0. */
async function kept(key: Key, p: number, rows: number, features: number, sampleOffset = 0): Promise<Uint8Array> {
  const device = await testDevice()
  const y = await scope(() => {
    const x = Tensor.from(device, new Float32Array(rows * features).fill(1), [rows, features])
    return dropout(x, p, { key, sampleOffset }).read()
  })
  return Uint8Array.from(y, (value) => Number(value !== 0))
}

// 5 standard deviations, as in kakuritsu.test.ts: a sound generator passes always, as the key is fixed.
for (const p of [0.5, 0.1, 0.75])
  test(`keeps 1 - p of the elements, each for itself, at p = ${p}`, async () => {
    const [rows, features] = [64, 1000]
    const own = await kept(KEY, p, rows, features)
    const variance = p * (1 - p)
    const mean = (own.reduce((sum, bit) => sum + bit, 0) - own.length * (1 - p)) / Math.sqrt(own.length * variance)
    assert.ok(Math.abs(mean) < 5, `mean: ${mean} standard deviations`)
    const covariance = (other: Uint8Array, shift: number) => {
      const count = own.length - shift
      let sum = 0
      for (let i = 0; i < count; i++) sum += (own[i] - 1 + p) * (other[i + shift] - 1 + p)
      return sum / (variance * Math.sqrt(count))
    }
    const measured: [string, number][] = [1, 2, 4, features].map((shift) => [`${shift} apart`, covariance(own, shift)])
    for (const change of [{ step: KEY.step + 1 }, { layer: KEY.layer + 1 }, { seed: KEY.seed + 1 }])
      measured.push([JSON.stringify(change), covariance(await kept({ ...KEY, ...change }, p, rows, features), 0)])
    for (const [name, z] of measured) assert.ok(Math.abs(z) < 5, `${name}: ${z} standard deviations`)
  })

test('drops the same elements for a step computed in parts', async () => {
  const whole = await kept(KEY, 0.5, 23, 33)
  for (const [from, to] of [
    [0, 5],
    [5, 6],
    [6, 23],
  ])
    assert.equal(await kept(KEY, 0.5, to - from, 33, from), whole.subarray(from * 33, to * 33))
})

test('p = 0 is x itself, p = 1 zeros', async () => {
  const x = await tensor(nd([2, 3], [1, 2, 3, 4, 5, Infinity]))
  assert.is(dropout(x, 0, { key: KEY }), x)
  assert.equal([...(await scope(() => dropout(x, 1, { key: KEY }).read()))], [0, 0, 0, 0, 0, 0])
})

test('refuses what is no probability', async () => {
  const x = await tensor(nd([2, 3]))
  assert.throws(() => dropout(x, -0.5, { key: KEY }), /dropout: p is a probability in \[0, 1\], given -0.5/)
})

test.run()
