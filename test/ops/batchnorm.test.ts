/** What the table does not see of batch normalisation: statistics, means far from zero, and refusals. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { add, backward, foldBatchNorm, relu, ShapeError, scope, type Tensor } from '../../engine/index.ts'
import { batchNorm2d } from '../../engine/ops/batchnorm.ts'
import { testDevice } from '../device.ts'
import * as reference from '../reference/batchnorm.ts'
import { close, map, nd, Random } from '../reference/nd.ts'
import { checkOp, ROUNDING, tensor } from './check.ts'

const test = suite('batchNorm2d')
const random = new Random(11)

/** [rows, 1, 1, channels] of statistics to start from, as torch.nn.BatchNorm2d has them. */
async function start(channels: number) {
  const [zeros, ones] = [nd([channels]), map(nd([channels]), () => 1)]
  const [weight, bias, runningMean, runningVar] = await Promise.all([ones, zeros, zeros, ones].map(tensor))
  return {
    onGpu: { weight, bias, runningMean, runningVar },
    onCpu: { weight: ones, bias: zeros, runningMean: zeros, runningVar: ones },
  }
}

test('moves the running statistics in training, the variance without bias', async () => {
  const x = random.normal([1, 33, 65, 7])
  const { onGpu, onCpu } = await start(7)
  const gpuX = await tensor(x)
  scope(() => batchNorm2d(gpuX, { ...onGpu, training: true, momentum: 0.3 }))
  const expected = reference.batchNorm2d(x, { ...onCpu, training: true, momentum: 0.3, eps: 1e-5 })
  close(await onGpu.runningMean.read(), expected.runningMean, ROUNDING, 'running mean')
  close(await onGpu.runningVar.read(), expected.runningVar, ROUNDING, 'running variance')
})

for (const shape of [
  // 68 slices, more than the 32 threads of a channel; a software adapter would take 32.
  [1, 33, 65, 3],
  [1, 33, 65, 36],
  // Few enough for one pass.
  [1, 4, 7, 36],
])
  test(`normalises [${shape}] as on a GPU`, async () => {
    const channels = shape[3]
    const { onGpu, onCpu } = await start(channels)
    const device = (await testDevice()) as { software: boolean }
    const { software } = device
    device.software = false
    try {
      await checkOp({
        name: 'as on a GPU',
        inputs: { x: random.normal(shape), weight: random.normal([channels]), bias: random.normal([channels]) },
        op: ({ x, weight, bias }) => batchNorm2d(x, { ...onGpu, weight, bias, training: true }),
        reference: ({ x, weight, bias }) =>
          reference.batchNorm2d(x, { ...onCpu, weight, bias, training: true, momentum: 0.1, eps: 1e-5 }),
      })
    } finally {
      device.software = software
    }
  })

test('leaves the running statistics alone in evaluation', async () => {
  const { onGpu } = await start(3)
  const gpuX = await tensor(random.normal([2, 3, 3, 3]))
  scope(() => batchNorm2d(gpuX, { ...onGpu, training: false }))
  assert.equal([...(await onGpu.runningMean.read())], [0, 0, 0])
  assert.equal([...(await onGpu.runningVar.read())], [1, 1, 1])
})

for (const images of [1, 32]) {
  test(`finds a variance of 1 around a mean of 1000, ${images} images`, async () => {
    // E[x²] − E[x]² would lose it: float32 holds 10⁶ to 0.06. What is left is the rounding of the mean, by 6e-5 at
    // most, against a standard deviation of 1.
    const x = map(random.normal([images, 9, 9, 5]), (value) => Math.fround(1000 + value))
    const { onGpu, onCpu } = await start(5)
    const gpuX = await tensor(x)
    const out = scope(() => batchNorm2d(gpuX, { ...onGpu, training: true, momentum: 1 }).read())
    const expected = reference.batchNorm2d(x, { ...onCpu, training: true, momentum: 1, eps: 1e-5 })
    close(await onGpu.runningVar.read(), expected.runningVar, ROUNDING, 'running variance')
    close(await out, expected.out, { rtol: 1e-5, atol: 6e-5 }, 'output')
  })

  test(`finds a small variance behind a first value that lies far off, ${images} images`, async () => {
    const x = map(random.normal([images, 10, 10, 2]), (value, i) => Math.fround(i < 2 ? 1e4 : value))
    const { onGpu, onCpu } = await start(2)
    const gpuX = await tensor(x)
    scope(() => batchNorm2d(gpuX, { ...onGpu, training: true, momentum: 1 }))
    const expected = reference.batchNorm2d(x, { ...onCpu, training: true, momentum: 1, eps: 1e-5 })
    close(await onGpu.runningVar.read(), expected.runningVar, ROUNDING, 'running variance')
  })
}

test('normalises constant channels to the bias', async () => {
  const { onGpu } = await start(65)
  const gpuX = await tensor(map(nd([3, 5, 5, 65]), (_, i) => Math.fround(0.1 * (i % 65))))
  const out = await scope(() => batchNorm2d(gpuX, { ...onGpu, training: true }).read())
  assert.ok(out.every((value) => value === 0))
})

for (const training of [true, false])
  test(`clamps behind a residual as add and relu do, ${training ? 'training' : 'evaluating'}`, async () => {
    const shape = [3, 5, 7, 36]
    const { onGpu } = await start(36)
    const dOut = await tensor(random.normal(shape))
    const values = [random.normal(shape), random.normal(shape)]
    const run = async (op: (x: Tensor, residual: Tensor) => Tensor) => {
      const inputs = [...(await Promise.all(values.map(tensor))), onGpu.weight, onGpu.bias]
      for (const input of inputs) Object.assign(input, { requiresGrad: true, grad: null })
      const out = scope(() => {
        const out = op(inputs[0], inputs[1])
        backward(out, dOut)
        return out.read()
      })
      return Promise.all([out, ...inputs.map(({ grad }) => grad!.read())])
    }
    const options = { ...onGpu, training, momentum: 0 }
    const chain = await run((x, residual) => relu(add(batchNorm2d(x, options), residual)))
    const fused = await run((x, residual) => batchNorm2d(x, { ...options, residual, relu: true }))
    for (const [i, name] of ['output', 'x', 'residual', 'weight', 'bias'].entries())
      close(fused[i], nd([fused[i].length], chain[i]), ROUNDING, name)
  })

test('folds the running statistics into a scale and a shift', async () => {
  const names = ['weight', 'bias', 'runningMean', 'runningVar'] as const
  const values = names.map((name) => map(random.normal([67]), (value) => (name === 'runningVar' ? value ** 2 : value)))
  const [weight, bias, runningMean, runningVar] = values
  const [gpuWeight, gpuBias, gpuMean, gpuVar] = await Promise.all(values.map(tensor))
  const folded = scope(() => {
    const { scale, shift } = foldBatchNorm({
      weight: gpuWeight,
      bias: gpuBias,
      runningMean: gpuMean,
      runningVar: gpuVar,
    })
    return [scale.read(), shift.read()]
  })
  const scale = map(weight, (value, c) => value / Math.sqrt(runningVar.data[c] + 1e-5))
  close(await folded[0], scale, ROUNDING, 'scale')
  close(
    await folded[1],
    map(bias, (value, c) => value - runningMean.data[c] * scale.data[c]),
    ROUNDING,
    'shift',
  )
})

test('keeps NaN behind the clamp, of x and of the residual', async () => {
  const { onGpu } = await start(4)
  const [x, residual] = [
    await tensor(nd([1, 1, 1, 4], [NaN, 1, -1, 2])),
    await tensor(nd([1, 1, 1, 4], [0, NaN, 0, 0])),
  ]
  const out = await scope(() => batchNorm2d(x, { ...onGpu, training: false, residual, relu: true, eps: 0 }).read())
  assert.equal([...out], [NaN, NaN, 0, 2])
})

test('says which shape is wrong', async () => {
  const { onGpu } = await start(3)
  const gpuX = await tensor(nd([2, 3, 3, 4]))
  assert.throws(
    () => batchNorm2d(gpuX, { ...onGpu, training: true }),
    (error: Error) =>
      error instanceof ShapeError && /weight is \[3\], x has 4 channels \[2, 3, 3, 4\]/.test(error.message),
  )
  const fitting = await tensor(nd([2, 3, 3, 3]))
  assert.throws(
    () => batchNorm2d(fitting, { ...onGpu, training: true, residual: gpuX }),
    /residual is \[2, 3, 3, 4\], x \[2, 3, 3, 3\]/,
  )
  const single = await tensor(nd([1, 1, 1, 3]))
  assert.throws(() => batchNorm2d(single, { ...onGpu, training: true }), /larger batch/)
})

test.run()
