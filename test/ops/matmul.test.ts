/** matmul and linear against their float64 references, on sizes that no tile divides. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { ShapeError } from '../../engine/errors.ts'
import { countTensors, scope, Tensor, Tuner } from '../../engine/index.ts'
import { forceGemmVariant } from '../../engine/ops/gemm_variants.ts'
import { linear, matmul } from '../../engine/ops/matmul.ts'
import { testDevice } from '../device.ts'
import * as reference from '../reference/matmul.ts'
import { close, nd, Random } from '../reference/nd.ts'
import { checkOp, tensor } from './check.ts'

for (const variant of ['tiled', 'tiled32', 'tiled128', 'subgroup'] as const) {
  const random = new Random(11)
  const test = suite(`matmul, ${variant}`)
  test.before(() => forceGemmVariant(variant))
  test.after(() => forceGemmVariant(null))

  for (const [rows, depth, columns] of [
    [1, 1, 1],
    [7, 33, 19],
    [33, 130, 65],
    [64, 70, 100],
    [65, 16, 132],
    [100, 64, 64],
    [520, 33, 36],
    [3, 1000, 8],
    [70, 264, 272],
  ])
    for (const transposeA of [false, true])
      for (const transposeB of [false, true]) {
        const options = { transposeA, transposeB }
        const a = random.normal(transposeA ? [depth, rows] : [rows, depth])
        const b = random.normal(transposeB ? [columns, depth] : [depth, columns])
        test(`[${a.shape}]${transposeA ? 'ᵀ' : ''} · [${b.shape}]${transposeB ? 'ᵀ' : ''}`, () =>
          checkOp({
            name: 'matmul',
            inputs: { a, b },
            op: ({ a, b }) => matmul(a, b, options),
            reference: ({ a, b }) => reference.matmul(a, b, options),
          }))
      }

  for (const [rows, inputs, outputs] of [
    [1, 7, 10],
    [64, 130, 100],
    [300, 34, 36],
  ]) {
    const x = random.normal([rows, inputs])
    const weight = random.normal([inputs, outputs])
    const bias = random.normal([outputs])
    const name = `linear [${x.shape}] to ${outputs}`
    test(name, () =>
      checkOp({
        name,
        inputs: { x, weight },
        op: ({ x, weight }) => linear(x, weight),
        reference: ({ x, weight }) => reference.linear(x, weight),
      }),
    )
    test(`${name} with bias`, () =>
      checkOp({
        name,
        inputs: { x, weight, bias },
        op: ({ x, weight, bias }) => linear(x, weight, bias),
        reference: ({ x, weight, bias }) => reference.linear(x, weight, bias),
      }))
  }

  test.run()
}

const random = new Random(12)
const test = suite('matmul')

test('names the shapes that do not fit', async () => {
  const [a, b, cube] = await Promise.all(
    [
      [2, 3],
      [4, 5],
      [1, 2, 3],
    ].map((shape) => tensor(random.normal(shape))),
  )
  const refuses = (run: () => unknown, message: RegExp) =>
    assert.throws(run, (error: Error) => error instanceof ShapeError && message.test(error.message))
  refuses(() => matmul(a, b), /matmul: the inner sizes of \[2, 3\] and \[4, 5\] differ: 3 and 4/)
  refuses(() => matmul(a, b, { transposeA: true }), /\[2, 3\] transposed/)
  refuses(() => matmul(a, cube), /matmul multiplies matrices, given \[1, 2, 3\]/)
  refuses(() => linear(a, b), /linear: the inner sizes/)
})

test('takes the variant that a tuner knows, with the same result but for rounding; trials keep no tensor', async () => {
  const device = await testDevice()
  const [x, weight, dy] = [
    [33, 40],
    [40, 20],
    [33, 20],
  ].map((shape) => random.normal(shape))
  const [a, b, d] = [x, weight, dy].map((values) => Tensor.from(device, Float32Array.from(values.data), values.shape))
  const products = () =>
    scope(() => [
      matmul(a, b).read(),
      matmul(d, b, { transposeB: true }).read(),
      matmul(a, d, { transposeA: true }).read(),
    ])
  const standard = await Promise.all(products())
  const tensors = countTensors()
  const tuner = new Tuner(device, {
    async time(_, run) {
      run()
      return 10
    },
  })
  products()
  assert.is(await tuner.settle(), 3)
  assert.equal([...tuner.choices.keys()].sort(), [
    'gemm f32 32 16 32',
    'gemm f32 transposed 32 32 16',
    'gemm over rows 32 16 32',
  ])
  tuner.stop()
  const known = new Tuner(device, { choices: new Map([...tuner.choices.keys()].map((key) => [key, 'tiled'])) })
  const tiled = await Promise.all(products())
  known.stop()
  for (const [i, values] of tiled.entries()) close(values, nd([values.length], standard[i]), { rtol: 1e-5 })
  assert.is(countTensors(), tensors)
})

test.run()
