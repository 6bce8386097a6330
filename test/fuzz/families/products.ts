/** Products of matrices and convolutions: f32 with gradients, what follows a product, half precision, matrix cores. */
import * as fc from 'fast-check'
import { fromHalf, toHalf } from '../../../engine/half.ts'
import { conv2d, empty, hasHalf, linear, matmul, noGrad, scope, Tensor } from '../../../engine/index.ts'
import { gemmBy } from '../../../engine/ops/gemm.ts'
import { matrixKernels } from '../../../engine/ops/gemm_variants.ts'
import { matrixRows } from '../../../engine/ops/patches.ts'
import { testDevice } from '../../device.ts'
import { checkOp, ROUNDING } from '../../ops/check.ts'
import emulatedSource from '../../ops/matrix_cores.wgsl'
import * as convolution from '../../reference/conv2d.ts'
import * as reference from '../../reference/matmul.ts'
import { close, map, type Nd, nd, size, type Tolerance } from '../../reference/nd.ts'
import { extent, finite, type Numbers, numbers, rowCount, values } from '../draw.ts'
import { type Family, family } from '../fuzz.ts'
import { products, type Variant } from '../variants.ts'

/** Products that a reference sums, at most: some 10 ms. */
const MOST_PRODUCTS = 300_000

/** As test/ops/half.test.ts has it: a step of a half, and f32's rounding of the sums. */
const HALF_ROUNDING: Tolerance = { rtol: 1.01 * 2 ** -10, atol: 2e-4 }

/** A depth is filled up with zeros, which times the last infinity of a weight are NaN. */
const LAX: Tolerance = { ...ROUNDING, lax: true }

interface Convolution extends Numbers {
  images: number
  height: number
  width: number
  channels: number
  outputs: number
  kernelHeight: number
  kernelWidth: number
  stride: number
  padding: number
  dilation: number
  groups: number
  bias: boolean
}

const shapesOf = (drawn: Convolution) => {
  const { images, height, width, channels, outputs, kernelHeight, kernelWidth, stride, padding, dilation } = drawn
  const extent = (size: number, kernel: number) =>
    Math.floor((size + 2 * padding - dilation * (kernel - 1) - 1) / stride) + 1
  return {
    x: [images, height, width, channels * drawn.groups],
    weight: [kernelHeight, kernelWidth, channels, outputs * drawn.groups],
    out: [images, extent(height, kernelHeight), extent(width, kernelWidth), outputs * drawn.groups],
  }
}

function reasonable(drawn: Convolution): boolean {
  const { x, out } = shapesOf(drawn)
  const { kernelHeight, kernelWidth, channels } = drawn
  const count = size(out) * kernelHeight * kernelWidth * channels
  return out[1] > 0 && out[2] > 0 && size(x) <= MOST_PRODUCTS && count <= MOST_PRODUCTS
}

const convolutions = (groups: fc.Arbitrary<number>, most: number) =>
  fc
    .record({
      images: fc.oneof({ weight: 3, arbitrary: fc.constantFrom(1, 2) }, rowCount(9)),
      height: fc.oneof(fc.integer({ min: 1, max: 20 }), extent(65, 1)),
      width: fc.oneof(fc.integer({ min: 1, max: 20 }), extent(65, 1)),
      channels: extent(most, 1),
      outputs: extent(most, 1),
      kernelHeight: fc.integer({ min: 1, max: 7 }),
      kernelWidth: fc.integer({ min: 1, max: 7 }),
      stride: fc.integer({ min: 1, max: 4 }),
      padding: fc.integer({ min: 0, max: 4 }),
      dilation: fc.integer({ min: 1, max: 3 }),
      groups,
      bias: fc.boolean(),
      ...numbers,
    })
    .filter(reasonable)

/** A tap in the padding meets a zero, and what that makes of a weight that is not finite is left open: x alone has spikes. */
function convolve(drawn: Convolution): Promise<void> {
  const { x, weight, out } = shapesOf(drawn)
  const { stride, padding, dilation, groups } = drawn
  const options = { stride, padding, dilation, groups }
  return checkOp({
    name: 'conv2d',
    inputs: {
      x: values(x, drawn, 0),
      weight: finite(weight, drawn, 1),
      ...(drawn.bias && { bias: values([out[3]], drawn, 2) }),
    } as Record<string, Nd>,
    op: ({ x, weight, bias }) => conv2d(x, weight, { bias, ...options }),
    reference: ({ x, weight, bias }) => convolution.conv2d(x, weight, bias, options),
  })
}

interface Followed extends Convolution {
  scale: boolean
  residual: boolean
  relu: boolean
  f16: boolean
}

const followed = (groups: fc.Arbitrary<number>, most: number): fc.Arbitrary<Followed> =>
  fc
    .tuple(
      convolutions(groups, most),
      fc.record({ scale: fc.boolean(), residual: fc.boolean(), relu: fc.boolean(), f16: fc.boolean() }),
    )
    .map(([convolution, after]) => ({ ...convolution, ...after }))

/** Numbers that are halves. */
const halved = (x: Nd): Nd => nd(x.shape, fromHalf(toHalf(Float32Array.from(x.data))))

async function convolveAndFollow(drawn: Followed): Promise<void> {
  const device = await testDevice()
  const f16 = drawn.f16 && hasHalf(device)
  const shapes = shapesOf(drawn)
  const { stride, padding, dilation, groups, relu } = drawn
  const options = { stride, padding, dilation, groups }
  const operand = (x: Nd) => (f16 ? halved(x) : x)
  const [x, weight] = [operand(values(shapes.x, drawn, 0)), operand(finite(shapes.weight, drawn, 1))]
  const channels = [shapes.out[3]]
  const bias = drawn.bias ? finite(channels, drawn, 2) : null
  const scale = drawn.scale ? finite(channels, drawn, 3) : null
  const residual = drawn.residual ? operand(values(shapes.out, drawn, 4)) : null
  const expected = map(convolution.conv2d(x, weight, undefined, options).out, (sum, i) => {
    const c = i % channels[0]
    const value = sum * (scale?.data[c] ?? 1) + (bias?.data[c] ?? 0) + (residual?.data[i] ?? 0)
    return relu ? Math.max(value, 0) : value
  })
  const given = (x: Nd | null, dtype: 'f32' | 'f16' = 'f32') =>
    x ? Tensor.from(device, Float32Array.from(x.data), x.shape, dtype) : undefined
  const dtype = f16 ? 'f16' : 'f32'
  const actual = scope(() =>
    noGrad(() =>
      conv2d(given(x, dtype)!, given(weight, dtype)!, {
        ...options,
        relu,
        bias: given(bias),
        scale: given(scale),
        residual: given(residual, dtype),
      }).read(),
    ),
  )
  close(await actual, expected, f16 ? HALF_ROUNDING : ROUNDING, 'output')
}

interface Product extends Numbers {
  rows: number
  depth: number
  columns: number
  transposeA: boolean
  transposeB: boolean
  bias: boolean
}

const matrices: fc.Arbitrary<Product> = fc
  .record({
    rows: rowCount(300),
    depth: fc.oneof({ weight: 4, arbitrary: extent(130) }, extent(3000)),
    columns: extent(130),
    transposeA: fc.boolean(),
    transposeB: fc.boolean(),
    bias: fc.boolean(),
    ...numbers,
  })
  .filter(
    ({ rows, depth, columns }) => [rows, depth, columns].reduce((n, size) => n * Math.max(1, size), 1) <= MOST_PRODUCTS,
  )

function multiply(drawn: Product): Promise<void> {
  const { rows, depth, columns, transposeA, transposeB } = drawn
  const options = { transposeA, transposeB }
  return checkOp({
    name: 'matmul',
    inputs: {
      a: values(transposeA ? [depth, rows] : [rows, depth], drawn, 0),
      b: values(transposeB ? [columns, depth] : [depth, columns], drawn, 1),
    },
    op: ({ a, b }) => matmul(a, b, options),
    reference: ({ a, b }) => reference.matmul(a, b, options),
    tolerance: LAX,
  })
}

function layer(drawn: Product): Promise<void> {
  const { rows, depth, columns } = drawn
  return checkOp({
    name: 'linear',
    inputs: {
      x: values([rows, depth], drawn, 0),
      weight: values([depth, columns], drawn, 1),
      ...(drawn.bias && { bias: values([columns], drawn, 2) }),
    } as Record<string, Nd>,
    op: ({ x, weight, bias }) => linear(x, weight, bias),
    reference: ({ x, weight, bias }) => reference.linear(x, weight, bias),
    tolerance: LAX,
  })
}

/** Products M × N × K of matrix cores, whose lanes the adapter's stand for. */
const CORES = [
  { M: 16, N: 16, K: 16 },
  { M: 16, N: 8, K: 8 },
  { M: 8, N: 16, K: 16 },
]

const emulated: Variant = {
  name: 'emulated',
  able: (device) => hasHalf(device) && device.subgroups?.min === device.subgroups?.max,
  force: () => () => {},
}

async function multiplyByCores(drawn: Product, cores: (typeof CORES)[number]): Promise<void> {
  const device = await testDevice()
  const { rows, depth, columns } = drawn
  const { straight, tile } = matrixKernels(emulatedSource)
  const kernels = { straight: straight.with({ ...cores, SUBGROUP: device.subgroups!.min }), tile }
  const [x, weight] = [halved(values([rows, depth], drawn, 0)), halved(finite([depth, columns], drawn, 1))]
  const bias = finite([columns], drawn, 2)
  const actual = await scope(() => {
    const [a, b] = [x, weight].map(({ data, shape }) => Tensor.from(device, Float32Array.from(data), shape, 'f16'))
    const out = empty(device, [rows, columns], 'f16')
    const given = { bias: Tensor.from(device, Float32Array.from(bias.data)), patches: matrixRows(depth) }
    gemmBy(kernels, { x: a, weight: b, out, rows, depth, columns, transposed: false, ...given })
    return out.read()
  })
  close(actual, reference.linear(x, weight, bias).out, HALF_ROUNDING)
}

export const productFamilies: readonly Family[] = [
  family({ name: 'conv2d', variants: products, cases: convolutions(fc.constant(1), 130), check: convolve }),
  family({
    name: 'conv2d in groups',
    variants: products.slice(0, 1),
    cases: convolutions(fc.integer({ min: 2, max: 9 }), 17),
    check: convolve,
  }),
  family({
    name: 'conv2d and what follows',
    variants: products,
    cases: followed(fc.oneof({ weight: 4, arbitrary: fc.constant(1) }, fc.integer({ min: 2, max: 5 })), 68),
    check: convolveAndFollow,
  }),
  family({ name: 'matmul', variants: products, cases: matrices, check: multiply }),
  family({ name: 'linear', variants: products, cases: matrices, check: layer }),
  ...CORES.map((cores) =>
    family({
      name: `gemm_matrix ${cores.M} × ${cores.N} × ${cores.K}`,
      variants: [emulated],
      cases: matrices,
      check: (drawn) => multiplyByCores(drawn, cores),
    }),
  ),
]
