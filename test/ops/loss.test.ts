/** Losses at the edges of float32, and top-k counts, which have no gradient for the table to check. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { backward, scope, Tensor } from '../../engine/index.ts'
import { crossEntropy, logSoftmax, nllLoss, topkCorrect } from '../../engine/ops/loss.ts'
import { testDevice } from '../device.ts'
import * as reference from '../reference/loss.ts'
import { close, map, nd, Random } from '../reference/nd.ts'
import { ROUNDING, tensor, whole } from './check.ts'

const test = suite('loss')

const lossOf = async (logits: number[], label: number): Promise<number> => {
  const x = await tensor(nd([1, logits.length], logits))
  return scope(() => crossEntropy(x, whole(x, nd([1], [label]))).item())
}

test('crossEntropy neither overflows nor loses what is far from zero', async () => {
  const x = nd([3, 3], [1e30, 0, -1e30, 80000, 80001, 80002, -300, -301, -302])
  const labels = nd([3], [0, 1, 2])
  const gpuX = await tensor(x)
  gpuX.requiresGrad = true
  const loss = scope(() => {
    const loss = crossEntropy(gpuX, whole(gpuX, labels))
    backward(loss)
    return loss.read()
  })
  const expected = reference.crossEntropy(x, labels)
  close(await loss, expected.out, ROUNDING, 'loss')
  close(await gpuX.grad!.read(), expected.backward(nd([], [1])).x, ROUNDING, 'gradient')
})

test('crossEntropy of what is no number or no class is never a number', async () => {
  assert.ok(Number.isNaN(await lossOf([1, NaN, 2], 0)))
  assert.ok(Number.isNaN(await lossOf([1, Infinity, 2], 0)))
  assert.ok(Number.isNaN(await lossOf([1, 2, 3], 3)))
  assert.is(await lossOf([-Infinity, 1, 2], 0), Infinity)
  assert.ok(Math.abs((await lossOf([-Infinity, 1, 1], 1)) - Math.LN2) < 1e-6)
})

test('nllLoss of a label that is no class is NaN', async () => {
  const x = await tensor(nd([1, 2]))
  assert.ok(Number.isNaN(await scope(() => nllLoss(x, whole(x, nd([1], [2]))).item())))
})

test('crossEntropy is nllLoss of logSoftmax', async () => {
  const x = await tensor(new Random(5).normal([9, 21]))
  const labels = whole(x, new Random(6).integers([9], 21))
  const [fused, composed] = scope(() => [crossEntropy(x, labels).item(), nllLoss(logSoftmax(x), labels).item()])
  assert.ok(Math.abs((await fused) - (await composed)) < 1e-5)
})

test('topkCorrect counts as a stable sort does', async () => {
  const random = new Random(9)
  const odd = [NaN, Infinity, -Infinity]
  // Few distinct logits, so that most labels have ties.
  const logits = map(random.integers([70, 33], 9), (x) =>
    random.next() < 0.02 ? odd[Math.floor(random.next() * 3)] : x,
  )
  const labels = random.integers([70], 33)
  const ks = [1, 3, 5, 33, 50]
  const x = await tensor(logits)
  const counts = await scope(() => topkCorrect(x, whole(x, labels), ks).readU32())
  assert.equal([...counts], [...reference.topkCorrect(logits, labels, ks).data])
})

test('topkCorrect never counts a NaN or a label that is no class', async () => {
  const x = await tensor(nd([3, 2], [NaN, 1, NaN, 1, 0, 1]))
  const counts = await scope(() => topkCorrect(x, whole(x, nd([3], [0, 1, 2])), [1, 2, 5]).readU32())
  assert.equal([...counts], [0, 1, 1])
})

test('says which labels are wanted', async () => {
  const x = await tensor(nd([3, 2]))
  const wanted = /crossEntropy: x \[3, 2\] wants labels u32 \[3\], given f32 \[3\]/
  const labels = Tensor.zeros(await testDevice(), [3])
  assert.throws(() => crossEntropy(x, labels), wanted)
})

test.run()
