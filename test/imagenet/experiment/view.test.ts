import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { duration } from '../../../imagenet/experiment/estimate.ts'
import { sparkline, WorkState } from '../../../imagenet/experiment/view.ts'
import { planOf, resultOf } from './made_up.ts'

const test = suite('experiment: live view')
const [K, D, W] = planOf()

test('sparklines run from the least to the greatest value', () => {
  assert.is(sparkline([0, 1, 2, 3, 4, 5, 6, 7]), '▁▂▃▄▅▆▇█')
  assert.is(sparkline([5, 5]), '▁▁')
  assert.is(sparkline([]), '')
  assert.is(sparkline([NaN, 1]).length, 2)
  assert.is(sparkline(Array.from({ length: 50 }, (_, i) => i)).length, 20)
})

test('shows what is done, what runs, and what is left', () => {
  const state = new WorkState([K, D, W], 100)
  assert.match(state.lines(24)[0], /^3 runs: 0 done, 0 running, 3 left · about \d+ min to go$|about 1?\d\d s|100 s/)
  state.started(K)
  state.stepped(K, 1, 2)
  state.epochEnded(K, resultOf(K, () => 90).epochs)
  let lines = state.lines(24)
  assert.match(lines[0], /^3 runs: 0 done, 1 running, 2 left/)
  assert.match(lines[1], /^▶ Kakuritsu-p0\.5-seed0 +█{12}░{12} 50 %$/)
  assert.match(lines[2], /epoch 2 {2}Acc@1 ▁▅█ 70\.00 {2}loss █▅▁ 1\.000/)
  state.finished(
    K,
    resultOf(K, () => 90),
  )
  state.started(D)
  state.failed(D, new Error('no memory'))
  lines = state.lines(24)
  assert.match(lines[0], /^3 runs: 1 done, 0 running, 1 left, 1 failed/)
  assert.match(lines[1], /^✓ Kakuritsu-p0\.5-seed0 +▁▅█ best epoch 2, Acc@1 90\.00$/)
  assert.match(lines[2], /^✗ Dropout-seed0 +no memory$/)
})

test('fits a low terminal', () => {
  const plan = planOf({ seeds: 10 })
  const state = new WorkState(plan, 10)
  for (const spec of plan) {
    state.started(spec)
    state.finished(
      spec,
      resultOf(spec, () => 50),
    )
  }
  assert.is(state.lines(10).length, 7)
})

test('durations', () => {
  assert.equal([0.44, 42, 600, 19_000].map(duration), ['0.4 s', '42 s', '10 min', '5.3 h'])
})

test.run()
