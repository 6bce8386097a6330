/** A device as the commands open it, without the checks that Dawn adds to shaders. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { GpuError, matmul, Tensor, topkCorrect } from '../../../engine/index.ts'
import { Kernel } from '../../../engine/kernel.ts'
import addSource from '../../../engine/shaders/add.wgsl'
import { openDevice } from '../../../imagenet/gpu/open.ts'
import { rejection } from '../../rejection.ts'

const test = suite('fast')

test('kernels do without memory that is cleared for them, again and again', async () => {
  const device = await openDevice({ fast: true })
  const logits = Tensor.from(
    device,
    Float32Array.from({ length: 40 }, (_, i) => (i * 7) % 11),
    [4, 10],
  )
  const labels = Tensor.from(device, Uint32Array.of(3, 0, 9, 5))
  const counts = async () => [...(await topkCorrect(logits, labels, [1, 5]).readU32())]
  const first = await counts()
  assert.ok(first.every((count) => count <= 4))
  for (let i = 0; i < 3; i++) {
    matmul(logits, logits, { transposeB: true })
    assert.equal(await counts(), first)
  }
  device.destroy()
})

test('errors are exceptions all the same, and name kernel and shapes', async () => {
  const device = await openDevice({ fast: true })
  const [a, b, out] = [0, 1, 2].map(() => Tensor.zeros(device, [7, 33]))
  const most = device.limits.maxComputeWorkgroupsPerDimension
  assert.throws(() => new Kernel('add', addSource).run(device, { size: 4 }, [a, b, out], [most + 1]), /add on \[7,33\]/)
  const greedy = addSource.replace('a: array<vec4f>', 'a: array<vec4f, 1000>')
  new Kernel('add', greedy).run(device, { size: 4 }, [a, b, out], [1])
  const refused = await rejection(out.read())
  assert.instance(refused, GpuError)
  assert.match(refused.message, /add \[7,33\] \[7,33\] \[7,33\]/)
  device.destroy()

  const other = await openDevice({ fast: true })
  const broken = new Kernel('broken', addSource.replace('a[i] + b[i]', 'a[i] + nothing'))
  assert.match((await rejection(broken.prepare(other))).message, /kernel broken does not compile/)
  other.destroy()
})

test.run()
