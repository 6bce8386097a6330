import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { memoryOf, scope, Tensor } from '../../engine/index.ts'
import { Kernel } from '../../engine/kernel.ts'
import { empty } from '../../engine/tensor.ts'
import { testDevice } from '../device.ts'
import source from '../fixtures/copy_texels.wgsl'

const device = await testDevice()
const kernel = new Kernel('copy_texels', source)

function copied(x: Tensor): Tensor {
  const out = empty(device, x.shape)
  kernel.run(device, { quads: x.size / 4 }, [x, out], [Math.ceil(x.size / 256)])
  return out
}

const test = suite('texels')

// Of one texel, a line, lines and a part of one, and one more than the steps of buffers' sizes.
for (const quads of [1, 63, 64, 65, 1023, 1024, 1025, 3 * 1024, 3 * 1024 + 7])
  test(`${quads} quads are read as they are when the kernel runs`, async () => {
    const values = [1, -1].map((sign) => Float32Array.from({ length: 4 * quads }, (_, i) => sign * (i + 1)))
    const read = scope(() => {
      const x = Tensor.from(device, values[0])
      const before = copied(x).read()
      x.write(values[1])
      return [before, copied(x).read()]
    })
    assert.equal(await Promise.all(read), values)
  })

test('what a buffer holds as texels counts as its memory, is found again with it and goes with it', () => {
  const memory = memoryOf(device)
  memory.trim()
  const [live, made] = [memory.liveBytes, memory.buffersMade]
  const bytes = 16 * 1024 * 5
  const step = () =>
    scope(() => {
      const x = Tensor.zeros(device, [bytes / 4])
      copied(x)
      return memory.liveBytes - live
    })
  assert.is(step(), 3 * bytes, 'x, its texels and the copy')
  assert.is(memory.liveBytes, live)
  assert.is(memory.pooledBytes, 3 * bytes)
  assert.is(step(), 3 * bytes)
  assert.is(memory.buffersMade - made, 2)
  memory.trim()
  assert.is(memory.pooledBytes, 0)
})

test.run()
