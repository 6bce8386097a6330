/** Choices by a clock that the tests set, and that the choice of a real variant changes no bit it must not. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { add, addRelu, countTensors, relu, scale, scope, Tensor, Tuner } from '../../engine/index.ts'
import { bucket, type Choice, choose } from '../../engine/tune.ts'
import { testDevice } from '../device.ts'

const test = suite('tune')
const device = await testDevice()

/** A choice between variants that take so many milliseconds, and the clock that says so. */
function fake(times: Record<string, number>, { exact = false } = {}) {
  const runs: string[] = []
  const choice: Choice = {
    key: 'op 8',
    variants: Object.keys(times),
    standard: Object.keys(times)[0],
    exact,
    trial: (variant) => runs.push(variant),
  }
  const time = async (_: unknown, run: () => void) => {
    const before = runs.length
    run()
    return runs.slice(before).reduce((sum, variant) => sum + times[variant], 0)
  }
  return { choice, time, runs }
}

async function chosen(times: Record<string, number>, options?: { exact?: boolean; exactOnly?: boolean }) {
  const { choice, time } = fake(times, options)
  const tuner = new Tuner(device, { time, exactOnly: options?.exactOnly })
  choose(device, choice)
  await tuner.settle()
  const answer = choose(device, choice)
  tuner.stop()
  return answer
}

test('takes the fastest variant', async () => {
  assert.is(await chosen({ standard: 3, slow: 4, fast: 1, fair: 2 }), 'fast')
})

test('keeps the standard variant unless another is clearly faster', async () => {
  assert.is(await chosen({ standard: 1, other: 0.97 }), 'standard')
  assert.is(await chosen({ standard: 1, other: 0.9 }), 'other')
})

test('times no hopeless variant again', async () => {
  const { choice, time, runs } = fake({ standard: 4, fast: 3, hopeless: 100 })
  const tuner = new Tuner(device, { time })
  choose(device, choice)
  await tuner.settle()
  tuner.stop()
  const count = (name: string) => runs.filter((run) => run === name).length
  assert.is(count('hopeless'), 2, 'once to compile it, once to time it')
  assert.ok(count('fast') > 2)
})

test('repeats what is short beside the grain of the clock', async () => {
  const { choice, time, runs } = fake({ standard: 0.01, other: 0.02 })
  const tuner = new Tuner(device, { time })
  choose(device, choice)
  await tuner.settle()
  tuner.stop()
  assert.ok(runs.length > 300)
})

test('answers the standard variant until it has measured, and without a tuner', async () => {
  const { choice, time, runs } = fake({ standard: 3, fast: 1 })
  assert.is(choose(device, choice), 'standard')
  const tuner = new Tuner(device, { time })
  assert.is(choose(device, choice), 'standard')
  assert.is(runs.length, 0)
  assert.is(await tuner.settle(), 1)
  assert.is(await tuner.settle(), 0)
  assert.is(choose(device, choice), 'fast')
  tuner.stop()
  assert.is(choose(device, choice), 'standard')
})

test('leaves what changes rounding alone where it is told to', async () => {
  assert.is(await chosen({ standard: 3, fast: 1 }, { exactOnly: true }), 'standard')
  assert.is(await chosen({ standard: 3, fast: 1 }, { exactOnly: true, exact: true }), 'fast')
})

test('goes by what is known from before, but not by names that there are not', async () => {
  const { choice, time } = fake({ standard: 3, fast: 1, other: 2 })
  const known = new Tuner(device, { time, choices: new Map([['op 8', 'other']]) })
  assert.is(choose(device, choice), 'other')
  assert.is(await known.settle(), 0)
  const unknown = new Tuner(device, { time, choices: new Map([['op 8', 'constructor']]) })
  assert.is(choose(device, choice), 'standard')
  assert.is(await unknown.settle(), 1)
  assert.equal([...unknown.choices], [['op 8', 'fast']])
  unknown.stop()
})

test('puts like sizes into one bucket', () => {
  assert.equal([1, 3, 56, 64, 90, 100, 0].map(bucket), [1, 4, 64, 64, 64, 128, 1])
})

test('measures real ops on the GPU, with the same bits before and after, and keeps no tensor', async () => {
  const x = Tensor.from(
    device,
    Float32Array.from({ length: 5000 }, (_, i) => Math.sin(i)),
  )
  const before = countTensors()
  const run = () => scope(() => addRelu(relu(x), scale(add(x, x), 0.3)).read())
  const tuner = new Tuner(device)
  const first = await run()
  assert.is(await tuner.settle(), 4)
  assert.equal([...tuner.choices.keys()].sort(), ['add 4096', 'add_relu 4096', 'relu 4096', 'scale 4096'])
  const others = [...tuner.choices].map(([key, variant]) => [key, variant === 'short' ? 'long' : 'short'] as const)
  const flipped = new Tuner(device, { choices: new Map(others) })
  assert.equal(await run(), first)
  assert.is(await flipped.settle(), 0)
  flipped.stop()
  assert.is(countTensors(), before)
})

test.run()
