import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { Tensor } from '../../engine/index.ts'
import { normalizeImages } from '../../engine/ops/image.ts'
import { testDevice } from '../device.ts'
import { normalizeImages as reference } from '../reference/image.ts'
import { close, Random, size } from '../reference/nd.ts'
import { ROUNDING } from './check.ts'

const test = suite('normalizeImages')

for (const [shape, mean, std] of [
  [[1, 1, 1, 1], [0.1307], [0.3081]],
  [
    [3, 7, 5, 3],
    [0.485, 0.456, 0.406],
    [0.229, 0.224, 0.225],
  ],
  [[2, 33, 31, 1], [0.1307], [0.3081]],
] as const)
  test(`[${shape}]`, async () => {
    const bytes = Uint8Array.from(new Random(2).integers(shape, 256).data)
    const padded = new Uint8Array(Math.ceil(size(shape) / 4) * 4)
    padded.set(bytes)
    const packed = Tensor.from(await testDevice(), new Uint32Array(padded.buffer))
    const out = normalizeImages(packed, { shape, mean, std })
    close(await out.read(), reference(bytes, { shape, mean, std }), ROUNDING)
  })

test('says how many bytes a shape takes', async () => {
  const packed = Tensor.from(await testDevice(), new Uint32Array(4))
  const options = { shape: [1, 3, 3, 3], mean: [0, 0, 0], std: [1, 1, 1] }
  assert.throws(() => normalizeImages(packed, options), /\[1, 3, 3, 3\] takes 7 words of u32, given 4 of u32/)
})

test.run()
