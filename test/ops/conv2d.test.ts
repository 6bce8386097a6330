/** conv2d against its float64 reference, forward and every gradient, on sizes that no tile divides. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { backward, noGrad, ShapeError, scope } from '../../engine/index.ts'
import { conv2d } from '../../engine/ops/conv2d.ts'
import type { Conv2dOptions } from '../../engine/ops/conv2d_layout.ts'
import { forceGemmVariant } from '../../engine/ops/gemm_variants.ts'
import * as reference from '../reference/conv2d.ts'
import { add, relu } from '../reference/elementwise.ts'
import { close, map, nd, Random } from '../reference/nd.ts'
import { checkOp, ROUNDING, tensor } from './check.ts'

type Case = [x: number[], weight: number[], options?: Omit<Conv2dOptions, 'bias'>]

const cases: Case[] = [
  [
    [1, 1, 1, 1],
    [1, 1, 1, 1],
  ],
  [
    [2, 7, 5, 8],
    [1, 1, 8, 12],
  ],
  [[1, 33, 7, 3], [7, 7, 3, 4], { stride: 2, padding: 3 }],
  [[2, 11, 14, 1], [3, 4, 1, 6], { stride: 2 }],
  [[2, 9, 10, 2], [2, 3, 2, 5], { padding: 1 }],
  [[2, 9, 10, 16], [3, 3, 16, 68], { padding: 1 }],
  [[2, 9, 10, 20], [3, 3, 20, 7], { padding: 1 }],
  [[3, 26, 28, 20], [3, 3, 20, 8], { stride: 2, padding: 1 }],
  [[3, 7, 7, 6], [3, 3, 6, 5], { padding: 1 }],
  [[2, 7, 8, 33], [3, 3, 33, 7], { padding: 1 }],
  [[1, 12, 11, 36], [3, 3, 36, 8], { stride: 2, padding: 1 }],
  [[2, 8, 9, 34], [1, 1, 34, 70], { stride: 2 }],
  [[1, 13, 12, 20], [3, 3, 20, 8], { padding: 2, dilation: 2 }],
  [[1, 9, 8, 66], [3, 3, 66, 34], { stride: 2, padding: 1 }],
  [[1, 15, 14, 20], [3, 3, 20, 8], { stride: 2, padding: 2, dilation: 2 }],
  [[1, 15, 14, 4], [3, 3, 4, 8], { stride: 2, padding: 2, dilation: 2 }],
  [[1, 17, 13, 18], [3, 2, 18, 4], { stride: 3, padding: 1, dilation: 2 }],
  [[1, 16, 15, 20], [2, 3, 20, 4], { stride: 4, padding: 1 }],
  [[2, 2, 2, 8], [3, 3, 8, 8], { padding: 1 }],
  // Most taps, all of them, or one end of the taps lie in the padding for every output.
  [[3, 1, 1, 20], [3, 3, 20, 8], { padding: 1 }],
  [[1, 1, 2, 4], [1, 1, 4, 4], { stride: 3, padding: 1 }],
  [[2, 2, 3, 24], [3, 2, 24, 12], { stride: 2, padding: 2, dilation: 2 }],
  [
    [1, 5, 6, 4],
    [5, 6, 4, 3],
  ],
  [[2, 9, 9, 16], [3, 3, 2, 32], { padding: 1, groups: 8 }],
  [[1, 11, 10, 6], [3, 3, 1, 12], { stride: 2, padding: 1, groups: 6 }],
  [[2, 8, 7, 12], [3, 3, 4, 6], { stride: 2, padding: 2, dilation: 2, groups: 3 }],
]

for (const variant of ['tiled', 'subgroup'] as const) {
  const random = new Random(13)
  const test = suite(`conv2d, ${variant}`)
  test.before(() => forceGemmVariant(variant))
  test.after(() => forceGemmVariant(null))

  for (const [shape, weightShape, options = {}] of cases) {
    const inputs = { x: random.normal(shape), weight: random.normal(weightShape) }
    const withBias = { ...inputs, bias: random.normal([weightShape[3]]) }
    const name = `[${shape}] * [${weightShape}] ${JSON.stringify(options)}`
    test(name, () =>
      checkOp({
        name,
        inputs,
        op: ({ x, weight }) => conv2d(x, weight, options),
        reference: ({ x, weight }) => reference.conv2d(x, weight, undefined, options),
      }),
    )
    test(`${name} with bias`, () =>
      checkOp({
        name,
        inputs: withBias,
        op: ({ x, weight, bias }) => conv2d(x, weight, { ...options, bias }),
        reference: ({ x, weight, bias }) => reference.conv2d(x, weight, bias, options),
      }))
    test(`${name} with what follows`, async () => {
      const { x, weight } = inputs
      const sums = reference.conv2d(x, weight, undefined, options).out
      const [scale, bias] = [random.normal([weightShape[3]]), random.normal([weightShape[3]])]
      const residual = random.normal(sums.shape)
      const affine = map(sums, (sum, i) => sum * scale.data[i % scale.data.length] + bias.data[i % bias.data.length])
      const all = { scale: await tensor(scale), bias: await tensor(bias), residual: await tensor(residual), relu: true }
      const [gpuX, gpuWeight] = [await tensor(x), await tensor(weight)]
      for (const [epilogue, expected] of [
        [all, relu(add(affine, residual).out).out],
        [{ scale: all.scale }, map(sums, (sum, i) => sum * scale.data[i % scale.data.length])],
        [{ residual: all.residual }, add(sums, residual).out],
        [{ relu: true }, relu(sums).out],
      ] as const) {
        const out = scope(() => conv2d(gpuX, gpuWeight, { ...options, ...epilogue }).read())
        close(await out, expected, ROUNDING, Object.keys(epilogue).join())
      }
    })
  }

  for (const [shape, weightShape, options] of [
    [[2, 7, 5, 8], [1, 1, 8, 12], {}],
    [[2, 8, 9, 34], [1, 1, 34, 70], { stride: 2 }], // three phases of four have no taps
    [[3, 26, 28, 20], [3, 3, 20, 8], { stride: 2, padding: 1 }],
    [[1, 33, 7, 3], [7, 7, 3, 4], { stride: 2, padding: 3 }],
    [[2, 9, 9, 16], [3, 3, 2, 32], { padding: 1, groups: 8 }],
  ] satisfies Case[])
    test(`[${shape}] * [${weightShape}] adds to the gradient that x has`, async () => {
      const [x, weight] = [await tensor(random.normal(shape)), await tensor(random.normal(weightShape))]
      x.requiresGrad = true
      const pass = () =>
        scope(() => {
          const y = conv2d(x, weight, options)
          backward(y, y)
          return x.grad!.read()
        })
      const once = await pass()
      close(
        await pass(),
        map(nd(shape, once), (value) => 2 * value),
        ROUNDING,
      )
    })

  test.run()
}

const random = new Random(14)
const test = suite('conv2d')

test('keeps NaN behind the clamp', async () => {
  const [x, weight] = [await tensor(nd([1, 1, 4, 1], [NaN, -1, 2, 0])), await tensor(nd([1, 1, 1, 1], [1]))]
  const residual = await tensor(nd([1, 1, 4, 1], [0, 0, 0, NaN]))
  const out = await scope(() => conv2d(x, weight, { residual, relu: true }).read())
  assert.equal([...out], [NaN, 0, 2, NaN])
})

test('spoils with NaN the windows that see it, and no other', async () => {
  const image = random.normal([1, 12, 12, 3])
  image.data[(5 * 12 + 6) * 3] = NaN
  const weight = random.normal([5, 5, 3, 4])
  const options = { stride: 2, padding: 2 }
  const [gpuX, gpuWeight] = [await tensor(image), await tensor(weight)]
  for (const variant of ['tiled', 'subgroup'] as const) {
    forceGemmVariant(variant)
    const out = await scope(() => conv2d(gpuX, gpuWeight, options).read())
    const expected = reference.conv2d(image, weight, undefined, options).out.data
    assert.equal([...out].map(Number.isNaN), [...expected].map(Number.isNaN), variant)
  }
  forceGemmVariant(null)
})

test('refuses what follows where a gradient is wanted', async () => {
  const [x, weight] = [await tensor(nd([1, 1, 1, 1], [1])), await tensor(nd([1, 1, 1, 1], [1]))]
  weight.requiresGrad = true
  assert.throws(() => conv2d(x, weight, { relu: true }), /scale, residual and relu have no gradients/)
  assert.throws(() => conv2d(x, weight, { scale: x.view([1]) }), /have no gradients/)
  scope(() => noGrad(() => conv2d(x, weight, { relu: true })))
})

test('names the shapes that do not fit', async () => {
  const make = (shape: number[]) => tensor(random.normal(shape))
  const [x, weight, bias, matrix] = await Promise.all([[1, 5, 5, 3], [3, 3, 64, 8], [7], [2, 3]].map(make))
  const fitting = await make([3, 3, 3, 8])
  const refuses = (run: () => unknown, message: RegExp) =>
    assert.throws(run, (error: Error) => error instanceof ShapeError && message.test(error.message))
  refuses(
    () => conv2d(x, weight),
    /conv2d: weight expects 64 input channels, x has 3 \(x is \[1, 5, 5, 3\], weight \[3, 3, 64, 8\]\)/,
  )
  refuses(() => conv2d(matrix, weight), /x must be \[N, H, W, C\]/)
  refuses(() => conv2d(x, matrix), /weight must be \[KH, KW, C \/ groups, O\]/)
  refuses(() => conv2d(x, fitting, { bias }), /bias must be \[8\], given \[7\]/)
  refuses(() => conv2d(x, fitting, { scale: bias }), /scale must be \[8\], given \[7\]/)
  refuses(() => conv2d(x, fitting, { residual: x }), /residual must be \[1, 3, 3, 8\], given \[1, 5, 5, 3\]/)
  refuses(() => conv2d(x, fitting, { stride: 0 }), /stride must be a whole number ≥ 1, given 0/)
  refuses(() => conv2d(x, fitting, { dilation: 3 }), /the image is smaller than the kernel/)
  refuses(() => conv2d(x, fitting, { groups: 3 }), /8 output channels do not fall into 3 groups/)
})

test.run()
