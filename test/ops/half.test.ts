/**
 * Ops on half precision against the same ops on f32, which other files hold to their references: on operands that are
 * halves exactly, sums in f32 leave the rounding of the result as the only difference.
 */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { fromHalf, toHalf } from '../../engine/half.ts'
import {
  adaptiveAvgPool2d,
  batchNorm2d,
  type Conv2dOptions,
  conv2d,
  empty,
  half,
  hasHalf,
  linear,
  maxPool2d,
  relu,
  scope,
  Tensor,
} from '../../engine/index.ts'
import { gemm, gemmBy } from '../../engine/ops/gemm.ts'
import { forceGemmVariant, matrixKernels } from '../../engine/ops/gemm_variants.ts'
import { matrixRows } from '../../engine/ops/patches.ts'
import { testDevice } from '../device.ts'
import { close, nd, Random, type Tolerance } from '../reference/nd.ts'
import emulatedSource from './matrix_cores.wgsl'

/** Half a step of a half, 2^-11 of its magnitude, or the whole one that WGSL allows; and f32's rounding of the sums. */
const ROUNDING: Tolerance = { rtol: 1.01 * 2 ** -10, atol: 1e-4 }

const device = await testDevice()
const random = new Random(16)
const test = suite('half precision, ops')
const able = hasHalf(device) ? test : test.skip

/** Numbers that are halves, as a tensor of each type. */
function operand(shape: readonly number[]): { f32: Tensor; f16: Tensor } {
  const data = fromHalf(toHalf(Float32Array.from(random.normal(shape).data)))
  return { f32: Tensor.from(device, data, shape), f16: Tensor.from(device, data, shape, 'f16') }
}

/** Compares a result of f16 with that of f32. */
async function same(result: Tensor, expected: Tensor, dtype = 'f16'): Promise<void> {
  assert.is(result.dtype, dtype)
  close(await result.read(), nd(expected.shape, await expected.read()), ROUNDING)
}

interface Row extends Conv2dOptions {
  x: [images: number, height: number, width: number, channels: number]
  kernel: number
  outputs: number
}

const rows: Row[] = [
  { x: [1, 1, 1, 1], kernel: 1, outputs: 1 },
  { x: [2, 5, 7, 33], kernel: 1, outputs: 7 },
  { x: [1, 9, 8, 3], kernel: 7, outputs: 64, stride: 2, padding: 3 },
  { x: [2, 7, 7, 64], kernel: 3, outputs: 68, padding: 1 },
  { x: [1, 8, 9, 20], kernel: 3, outputs: 36, stride: 2, padding: 2, dilation: 2 },
  { x: [2, 6, 5, 12], kernel: 3, outputs: 8, padding: 1, groups: 4 },
]

for (const variant of ['tiled', 'subgroup'] as const)
  for (const { x: shape, kernel, outputs, ...options } of rows)
    able(`conv2d, ${variant}: [${shape}], ${kernel} × ${kernel} to ${outputs}`, async () => {
      forceGemmVariant(variant)
      const [x, weight] = [operand(shape), operand([kernel, kernel, shape[3] / (options.groups ?? 1), outputs])]
      const [scale, bias] = [operand([outputs]).f32, operand([outputs]).f32]
      const plain = conv2d(x.f32, weight.f32, options)
      await same(conv2d(x.f16, weight.f16, options), plain)
      const residual = operand(plain.shape)
      const after = { ...options, scale, bias, relu: true }
      const expected = conv2d(x.f32, weight.f32, { ...after, residual: residual.f32 })
      await same(conv2d(x.f16, weight.f16, { ...after, residual: residual.f16 }), expected)
      await same(conv2d(x.f32, weight.f16, { ...after, residual: residual.f16 }), expected)
      forceGemmVariant(null)
    })

for (const shape of [
  [2, 3, 3, 5],
  [4, 33, 33, 12],
])
  for (const training of [true, false])
    able(`batchNorm2d, [${shape}], ${training ? 'by the batch' : 'by what ran'}`, async () => {
      const channels = shape[3]
      const [x, residual] = [operand(shape), operand(shape)]
      const state = () => ({
        weight: Tensor.from(device, new Float32Array(channels).fill(1.5)),
        bias: Tensor.from(device, new Float32Array(channels).fill(-0.25)),
        runningMean: Tensor.from(device, new Float32Array(channels).fill(0.125)),
        runningVar: Tensor.from(device, new Float32Array(channels).fill(2)),
      })
      const [narrow, wide] = [state(), state()]
      const result = batchNorm2d(x.f16, { ...narrow, training, residual: residual.f16, relu: true })
      await same(result, batchNorm2d(x.f32, { ...wide, training, residual: residual.f32, relu: true }))
      for (const name of ['runningMean', 'runningVar'] as const)
        assert.equal(await narrow[name].read(), await wide[name].read(), name)
    })

for (const channels of [3, 8])
  able(`pooling of ${channels} channels`, async () => {
    const x = operand([2, 9, 7, channels])
    const window = { kernelSize: 3, stride: 2, padding: 1 }
    const [narrow, wide] = [maxPool2d(x.f16, window), maxPool2d(x.f32, window)]
    assert.equal(await narrow.read(), await wide.read())
    await same(adaptiveAvgPool2d(x.f16, [1, 1]), adaptiveAvgPool2d(x.f32, [1, 1]), 'f32')
  })

// The kernel for matrix cores, which no adapter of the tests has, with a product of M × N × K that lanes make instead.
if (device.subgroups?.min === device.subgroups?.max)
  for (const [rows, depth, columns] of [
    [1, 1, 1],
    [33, 40, 65],
    [70, 130, 36],
  ])
    able(`gemm_matrix: [${rows}, ${depth}] · [${depth}, ${columns}]`, async () => {
      const { straight, tile } = matrixKernels(emulatedSource)
      const kernels = { straight: straight.with({ M: 16, N: 8, K: 8, SUBGROUP: device.subgroups!.min }), tile }
      const [x, weight, residual] = [operand([rows, depth]), operand([depth, columns]), operand([rows, columns])]
      const bias = operand([columns]).f32
      const common = { rows, depth, columns, patches: matrixRows(depth), transposed: false, bias, relu: true }
      const [narrow, wide] = [empty(device, [rows, columns], 'f16'), empty(device, [rows, columns])]
      gemmBy(kernels, { ...common, x: x.f16, weight: weight.f16, residual: residual.f16, out: narrow })
      gemm({ ...common, x: x.f32, weight: weight.f32, residual: residual.f32, out: wide })
      await same(narrow, wide)
    })

able('gemm_matrix: a convolution', async () => {
  const { straight, tile } = matrixKernels(emulatedSource)
  const kernels = { straight: straight.with({ M: 8, N: 16, K: 16, SUBGROUP: device.subgroups!.min }), tile }
  const [x, weight] = [operand([2, 7, 5, 12]), operand([3, 3, 12, 20])]
  const [height, width, channels, columns] = [7, 5, 12, 20]
  const patches = {
    ...{ height, width, pixelStride: channels, gridHeight: 4, gridWidth: 3, step: 2 },
    ...{ offsetH: -1, offsetW: -1, tapsH: 3, tapsW: 3, tapStep: 1 },
  }
  const out = empty(device, [2, 4, 3, columns], 'f16')
  gemmBy(kernels, { x: x.f16, weight: weight.f16, out, rows: 24, depth: channels, columns, patches, transposed: false })
  await same(out, conv2d(x.f32, weight.f32, { stride: 2, padding: 1 }))
})

able('half rounds', async () => {
  const values = Float32Array.from(random.normal([1027]).data)
  const rounded = half(Tensor.from(device, values))
  close(await rounded.read(), nd([1027], values), { rtol: 2 ** -10, atol: 2 ** -24 })
  assert.is(half(rounded), rounded)
})

able('what takes no half precision says so, and so does what would need a gradient', () => {
  scope(() => {
    const [x, weight] = [operand([2, 8]), operand([8, 4])]
    assert.throws(() => relu(x.f16), /kernel relu takes no half precision: \[2, 8\] is of f16/)
    assert.throws(() => linear(x.f16, weight.f32), /linear multiplies matrices of f32, given \[2, 8\] of f16/)
    const [image, kernel] = [operand([1, 3, 3, 4]), operand([1, 1, 4, 4])]
    assert.throws(() => conv2d(image.f16, kernel.f32), /conv2d: weight is of f32, x of f16/)
    const residual = operand([1, 3, 3, 4]).f32
    assert.throws(() => conv2d(image.f16, kernel.f16, { residual }), /weight is of f16, residual of f32/)
    kernel.f16.requiresGrad = true
    assert.throws(() => conv2d(image.f16, kernel.f16), /conv2d: half precision has no gradients/)
    image.f32.requiresGrad = true
    assert.throws(() => half(image.f32), /half: half precision has no gradients/)
  })
})

test.run()
