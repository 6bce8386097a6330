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
  const [rows, columns] = x.shape
  const out = empty(device, x.shape)
  kernel.run(device, { rows, quads: columns / 4 }, [x, out], [Math.ceil(x.size / 256)])
  return out
}

const test = suite('texels')

// Rows that fill lines by themselves or with others; lines and parts of one; one more than the steps of buffers' sizes.
for (const [rows, quads] of [
  [1, 1],
  [7, 1],
  [33, 1],
  [5, 16],
  [16, 3],
  [17, 3],
  [3, 250],
  [8, 250],
  [65, 250],
  [65, 1024],
  [2, 1023],
])
  test(`${rows} rows of ${quads} quads are read as they are when the kernel runs`, async () => {
    const values = [1, -1].map((sign) => Float32Array.from({ length: 4 * rows * quads }, (_, i) => sign * (i + 1)))
    const read = scope(() => {
      const x = Tensor.from(device, values[0], [rows, 4 * quads])
      const before = copied(x).read()
      x.write(values[1])
      return [before, copied(x).read()]
    })
    assert.equal(await Promise.all(read), values)
  })

test('what is a matrix of one shape and then of another is read as each', async () => {
  const values = Float32Array.from({ length: 24 * 20 }, (_, i) => i)
  const read = scope(() => {
    const x = Tensor.from(device, values, [24, 20])
    return [x, x.view([15, 32]), x.view([24, 20])].map((view) => copied(view).read())
  })
  for (const all of await Promise.all(read)) assert.equal(all, values)
})

test('what a buffer holds as texels counts as its memory, is found again with it and goes with it', () => {
  const memory = memoryOf(device)
  memory.trim()
  const [live, made] = [memory.liveBytes, memory.buffersMade]
  const bytes = 16 * 1024 * 5
  const step = () =>
    scope(() => {
      const x = Tensor.zeros(device, [5, 4096])
      copied(x)
      return memory.liveBytes - live
    })
  // A gap of 64 bytes behind each line.
  const texels = bytes + 5 * 64
  assert.is(step(), 2 * bytes + texels, 'x, its texels and the copy')
  assert.is(memory.liveBytes, live)
  assert.is(memory.pooledBytes, 2 * bytes + texels)
  assert.is(step(), 2 * bytes + texels)
  assert.is(memory.buffersMade - made, 2)
  memory.trim()
  assert.is(memory.pooledBytes, 0)
})

/** How often a buffer is copied to a texture while `act` runs. */
function copiesIn(act: () => unknown): number {
  let copies = 0
  const { copyToTexture } = device
  device.copyToTexture = (...args) => {
    copies++
    copyToTexture.apply(device, args)
  }
  try {
    act()
  } finally {
    device.copyToTexture = copyToTexture
  }
  return copies
}

const filled = (value: number) => Tensor.from(device, new Float32Array(64).fill(value), [1, 64])

test('a buffer is copied once for all that read the same contents', async () => {
  const x = filled(1).retain()
  assert.is(
    copiesIn(() => scope(() => [copied(x), copied(x)])),
    1,
  )
  const y = filled(2).retain()
  kernel.run(device, { rows: 1, quads: 16 }, [y, x], [1])
  let read: Promise<Float32Array> | undefined
  assert.is(
    copiesIn(() => {
      read = scope(() => [copied(x), copied(x)][1].read())
    }),
    1,
    'after a kernel wrote it',
  )
  assert.equal(await read, new Float32Array(64).fill(2))
  x.release()
  y.release()
})

test('a buffer that goes on to another tensor is copied anew', async () => {
  const step = (value: number) =>
    scope(() => {
      const x = filled(value)
      return { storage: x.storage, read: copied(x).read() }
    })
  const [first, second] = [step(1), step(2)]
  assert.is(first.storage, second.storage)
  assert.equal(await second.read, new Float32Array(64).fill(2))
})

test('a copy that was dropped counts for nothing', async () => {
  const x = filled(3).retain()
  await x.read()
  const failure = Promise.reject<Float32Array>(new Error('no sum'))
  const other = filled(0).retain()
  other.write(failure)
  scope(() => copied(x))
  device.dropKeptBack()
  assert.equal(await scope(() => copied(x).read()), new Float32Array(64).fill(3))
  other.release()
  x.release()
})

test.run()
