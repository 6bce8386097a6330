import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { add, backward, Profiler, relu, scope, Tensor } from '../../engine/index.ts'
import { perfettoTrace, profileTable } from '../../imagenet/index.ts'
import { testDevice } from '../device.ts'

const device = await testDevice()
const test = suite('profile')

if (device.features.has('timestamp-query')) {
  const profiled = async (repeats: number) => {
    const a = Tensor.from(device, new Float32Array(1000).fill(1))
    a.requiresGrad = true
    const seed = Tensor.zeros(device, [1000])
    const profiler = new Profiler(device)
    for (let i = 0; i < repeats; i++) scope(() => backward(relu(add(a, a)), seed))
    return profiler.stop()
  }

  test('every dispatch is timed, in order, under its op', async () => {
    const spans = await profiled(2)
    const one = ['add', 'relu', 'relu backward', 'add backward']
    // The second pass also adds to the gradient that the first one left.
    assert.equal(
      spans.slice(0, 4).map(({ op }) => op),
      one,
    )
    assert.is(spans.length, 9)
    assert.equal(spans[0].kernel, 'add')
    assert.equal(spans[0].shapes, '[1000] [1000] [1000]')
    for (const [i, { start, duration }] of spans.entries()) {
      assert.ok(duration >= 0)
      if (i > 0) assert.ok(start >= spans[i - 1].start)
    }
    assert.is(device.timer, null)
  })

  test('more dispatches than the query set holds are all there', async () => {
    assert.is((await profiled(700)).length, 700 * 5 - 1)
  })

  test('table and trace have every op', async () => {
    const spans = await profiled(1)
    const table = profileTable(spans, 1, device)
    for (const words of ['relu backward', 'relu_backward', '4 dispatches a step', 'MiB at the peak'])
      assert.match(table, words)
    const { traceEvents } = JSON.parse(perfettoTrace(spans))
    assert.is(traceEvents.length, 4)
    assert.equal([traceEvents[0].name, traceEvents[0].ph, traceEvents[0].ts], ['add', 'X', 0])
  })
}

test.run()
