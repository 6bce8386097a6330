/** What the table does not see of pooling: numbers that are none, and refusals. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { backward, scope } from '../../engine/index.ts'
import { adaptiveAvgPool2d, maxPool2d } from '../../engine/ops/pool.ts'
import { close, map, nd, Random } from '../reference/nd.ts'
import * as reference from '../reference/pool.ts'
import { tensor } from './check.ts'

const test = suite('pooling')

test('maxPool2d passes NaN and infinities on, as PyTorch does', async () => {
  const random = new Random(3)
  const odd = [NaN, Infinity, -Infinity, 0, -0]
  const x = map(random.normal([2, 11, 11, 5]), (value) =>
    random.next() < 0.3 ? odd[Math.floor(random.next() * 5)] : value,
  )
  const options = { kernelSize: 3, stride: 2, padding: 1 }
  const expected = reference.maxPool2d(x, options)
  const dOut = random.normal(expected.out.shape)
  const [gpuX, gpuDOut] = [await tensor(x), await tensor(dOut)]
  gpuX.requiresGrad = true
  const out = scope(() => {
    const out = maxPool2d(gpuX, options)
    backward(out, gpuDOut)
    return out.read()
  })
  close(await out, expected.out, { rtol: 0 }, 'output')
  close(await gpuX.grad!.read(), expected.backward(dOut).x, { rtol: 1e-6 }, 'gradient')
})

test('refuses what has no meaning', async () => {
  const x = await tensor(nd([1, 4, 4, 1]))
  assert.throws(() => maxPool2d(x, { kernelSize: 3, padding: 2 }), /padding must be 0 to half of kernelSize 3, not 2/)
  assert.throws(() => maxPool2d(x, { kernelSize: 5 }), /larger than x \[1, 4, 4, 1\]/)
  assert.throws(() => maxPool2d(x, { kernelSize: 2, stride: 0 }), /stride must be 1 or more, not 0/)
  assert.throws(() => adaptiveAvgPool2d(x, [0, 1]), /must be 1 × 1 or more, not 0 × 1/)
  assert.throws(() => adaptiveAvgPool2d(x.view([4, 4]), [1, 1]), /must be \[N, H, W, C\], not \[4, 4\]/)
})

test.run()
