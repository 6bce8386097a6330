/** A short soak: what a run holds does not grow. `npm run soak` runs long ones, and looks at times too. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { soakHead } from '../../bench/soaks.ts'
import { type Sample, unsteady } from '../../bench/steady.ts'
import { testDevice } from '../device.ts'

const test = suite('soak')

test('600 steps of a head, with checkpoints: GPU memory, tensors and files stay as they are', async () => {
  const samples = await soakHead(await testDevice(), 600)
  assert.equal(
    samples.map(({ step }) => step),
    [100, 200, 300, 400, 500, 600],
  )
  assert.equal(unsteady(samples, { timed: false }), [])
})

test('what grows is found', () => {
  const sample: Sample = { step: 0, gpuBytes: 100, tensors: 5, rss: 1000, files: 20, stepTime: 10 }
  const after = (change: Partial<Sample>) => unsteady([sample, sample, { ...sample, ...change }])
  assert.equal(after({ rss: 1050, stepTime: 10.5 }), [])
  assert.match(after({ gpuBytes: 101 })[0], /gpuBytes: 100 at first, 101 at the end/)
  assert.match(after({ tensors: 6 })[0], /tensors/)
  assert.match(after({ files: 21 })[0], /files/)
  assert.match(after({ rss: 1200 })[0], /rss: 1000 in the first half/)
  assert.match(after({ stepTime: 12 })[0], /1\.20 times/)
})

test.run()
