/** Command buffers, and dispatches, that take long are split; those of a fast GPU are not. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { Device, matmul, scope, Tensor } from '../../engine/index.ts'
import { Kernel } from '../../engine/kernel.ts'
import { Pace } from '../../engine/pace.ts'
import addSource from '../../engine/shaders/add.wgsl'
import { openAdapter } from '../../imagenet/gpu/open.ts'

const test = suite('pace')

test('halves what takes longer than half a second, to one dispatch, and doubles what is short', () => {
  const pace = new Pace()
  let now = 0
  const step = (milliseconds: number) => {
    const done = pace.sent(pace.dispatches, now)
    now += milliseconds
    done(now)
    return pace.dispatches
  }
  assert.is(step(400), 128)
  assert.equal(
    Array.from({ length: 8 }, () => step(600)),
    [64, 32, 16, 8, 4, 2, 1, 1],
  )
  assert.is(step(300), 1)
  assert.equal(
    Array.from({ length: 8 }, () => step(50)),
    [2, 4, 8, 16, 32, 64, 128, 128],
  )
})

test('a command buffer is timed from when the one before it was done', () => {
  const pace = new Pace()
  const [first, second] = [pace.sent(128, 0), pace.sent(128, 1)]
  first(400)
  second(800)
  assert.is(pace.dispatches, 128)
  pace.sent(128, 800)(1400)
  assert.is(pace.dispatches, 64)
})

test('a lone dispatch that takes long is halved, each by its name, and doubled back', () => {
  const pace = new Pace()
  let now = 0
  const step = (name: string, groups: number, milliseconds: number) => {
    const done = pace.sent(1, now, { name, groups })
    now += milliseconds
    done(now)
    return pace.groupsOf(name)
  }
  assert.is(step('a', 1000, 400), Infinity)
  assert.equal([step('a', 1000, 1200), step('a', 500, 600), step('a', 250, 300)], [500, 250, 250])
  assert.is(pace.groupsOf('b'), Infinity)
  assert.is(pace.longest, 0)
  assert.is(step('a', 100, 50), 250, 'a rest says nothing')
  assert.equal([step('a', 250, 50), step('a', 500, 50)], [500, 1000])

  assert.is(step('b', 1, 900), Infinity, 'which cannot be split')
  assert.is(pace.longest, 900)
})

test('parts that were sent together are halved once', () => {
  const pace = new Pace()
  const [first, second] = [0, 1].map((at) => pace.sent(1, at, { name: 'a', groups: 64 }))
  first(600)
  second(1200)
  assert.is(pace.groupsOf('a'), 32)
  const [third, fourth] = [0, 1].map(() => pace.sent(1, 1200, { name: 'a', groups: 32 }))
  third(1300)
  fourth(1400)
  assert.is(pace.groupsOf('a'), 64)
})

test('a device sends fewer dispatches at a time once they take long, and splits one that does', async () => {
  const adapter = await openAdapter()
  const sent: number[] = []
  let slow = true
  const slowed = new Proxy(adapter, {
    get(target, name) {
      // Command buffers of a driver on the CPU are not timed.
      if (name === 'info')
        return new Proxy(target.info, {
          get: (info, key) => (key === 'isFallbackAdapter' ? false : Reflect.get(info, key)),
        })
      if (name !== 'requestDevice') return Reflect.get(target, name)
      return async (descriptor: GPUDeviceDescriptor) => {
        const gpu = await target.requestDevice(descriptor)
        const { queue } = gpu
        const { submit, onSubmittedWorkDone } = queue
        queue.submit = (commands) => {
          sent.push(performance.now())
          return submit.call(queue, commands)
        }
        queue.onSubmittedWorkDone = async () => {
          if (slow) await new Promise((resolve) => setTimeout(resolve, 600))
          return onSubmittedWorkDone.call(queue)
        }
        return gpu
      }
    },
  })
  const device = await Device.create(slowed)
  const [a, b, out] = [0, 1, 2].map(() => Tensor.zeros(device, [4]))
  const add = new Kernel('add', addSource)
  const submits = async () => {
    const before = sent.length
    for (let i = 0; i < 128; i++) add.run(device, { size: 4 }, [a, b, out], [1])
    await device.idle()
    return sent.length - before
  }
  await device.idle()
  assert.is(await submits(), 1)
  await new Promise((resolve) => setTimeout(resolve, 50))
  assert.is(await submits(), 2)

  const [left, right] = [Tensor.zeros(device, [130, 33]), Tensor.zeros(device, [33, 70])]
  const parts = async () => {
    const before = sent.length
    scope(() => matmul(left, right))
    await device.idle()
    await new Promise((resolve) => setTimeout(resolve, 50))
    return sent.length - before
  }
  await device.idle()
  // Of 3 × 2 tiles.
  assert.equal([await parts(), await parts(), await parts()], [1, 2, 6])
  slow = false
  device.destroy()
})

test.run()
