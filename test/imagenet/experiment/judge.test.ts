import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { scope, Tensor } from '../../../engine/index.ts'
import { CONFIDENCE_BINS, Judge } from '../../../imagenet/experiment/judge.ts'
import { evaluateStep } from '../../../imagenet/run/loop.ts'
import { addBatch, averages, noTotals } from '../../../imagenet/run/metrics.ts'
import { Module } from '../../../nn/index.ts'
import { testDevice } from '../../device.ts'
import { Random } from '../../reference/nd.ts'

const test = suite('experiment: judge')
const near = (actual: number, expected: number) =>
  assert.ok(Math.abs(actual - expected) < 1e-6, `${actual}, not ${expected}`)

class Same extends Module {
  override forward(x: Tensor): Tensor {
    return x
  }
}

test('accuracies and loss are those of the loops, ties included', async () => {
  const device = await testDevice()
  const [images, classes] = [50, 7]
  const random = new Random(3)
  // Whole numbers, so that many logits are equal.
  const logits = Float32Array.from(random.integers([images, classes], 4).data)
  const labels = Uint32Array.from(random.integers([images], classes).data)
  const judge = new Judge(images, classes)
  judge.beginPass()
  judge.add(logits.slice(0, 20 * classes), labels.slice(0, 20))
  judge.add(logits.slice(20 * classes), labels.slice(20))
  const totals = noTotals()
  const input = () => Tensor.from(device, logits, [images, classes])
  addBatch(totals, await scope(() => evaluateStep(device, new Same(), { labels, input })))
  const [pass] = judge.passes
  const expected = averages(totals)
  assert.is(pass.acc1, expected.acc1)
  assert.is(pass.acc5, expected.acc5)
  near(pass.loss, expected.loss)
})

/** Logits of two classes whose softmax is [p, 1 − p]. */
const logitsOf = (...ps: number[]) => Float32Array.from(ps.flatMap((p) => [Math.log(p / (1 - p)), 0]))

test('calibration: bins, and the error by hand', () => {
  const judge = new Judge(4, 2)
  judge.beginPass()
  judge.add(logitsOf(0.9, 0.9, 0.7, 0.7), Uint32Array.of(0, 1, 0, 0))
  const { bins, ece } = judge.calibration
  const used = bins.filter(({ count }) => count > 0)
  assert.is(bins.length, CONFIDENCE_BINS)
  assert.equal(
    used.map(({ count, accuracy }) => [count, accuracy]),
    [
      [2, 1],
      [2, 0.5],
    ],
  )
  near(used[0].confidence, 0.7)
  near(used[1].confidence, 0.9)
  near(ece, 0.5 * 0.3 + 0.5 * 0.4)
})

test('answers that are right as often as they are sure have no error', () => {
  const judge = new Judge(10, 2)
  judge.beginPass()
  judge.add(logitsOf(...Array(10).fill(0.8)), Uint32Array.of(0, 0, 0, 0, 0, 0, 0, 0, 1, 1))
  near(judge.calibration.ece, 0)
})

test('a confidence of 1 has a bin', () => {
  const judge = new Judge(1, 2)
  judge.beginPass()
  judge.add(Float32Array.of(1000, 0), Uint32Array.of(0))
  assert.is(judge.calibration.bins.at(-1)!.count, 1)
  assert.is(judge.passes[0].loss, 0)
})

test('agreement: pairs of passes that answer alike', () => {
  const judge = new Judge(2, 2)
  const pass = (first: number, second: number) => {
    judge.beginPass()
    judge.add(logitsOf(first, second), Uint32Array.of(0, 0))
  }
  pass(0.9, 0.9)
  assert.is(judge.agreement, null)
  pass(0.9, 0.1)
  assert.is(judge.agreement, 0.5)
  pass(0.6, 0.2)
  // Image 0: 3 of 3 pairs; image 1: 1 of 3.
  near(judge.agreement!, 4 / 6)
})

test('a head that diverged is no result', () => {
  const judge = new Judge(1, 2)
  judge.beginPass()
  assert.throws(() => judge.add(Float32Array.of(NaN, 0), Uint32Array.of(1)), /a logit is NaN: the head has diverged/)
})

test.run()
