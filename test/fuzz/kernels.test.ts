/** A few cases of every variant of every kernel (`npm run fuzz` draws as many as there is time for), and those found. */
import * as fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import {
  adaptiveAvgPool2d,
  batchNorm2d,
  conv2d,
  empty,
  maxPool2d,
  relu,
  ShapeError,
  scope,
  Tensor,
} from '../../engine/index.ts'
import { matmul } from '../../engine/ops/matmul.ts'
import { testDevice } from '../device.ts'
import { checkCase, family, fault } from './fuzz.ts'
import { subjects } from './kernels.ts'
import { kinds } from './variants.ts'

/** Cases of each variant: a quarter of a second for one that is compiled, on a software adapter. */
const RUNS = 4

const device = await testDevice()
const test = suite('kernels on drawn shapes')

for (const { name, family, variant } of subjects(device))
  test(name, async () => assert.is(await fault(device, family, variant, { seed: 1, runs: RUNS }), null))

test.run()

const found = suite('kernels on shapes that were once wrong')

/** What was wrong, of which ops, in what case. */
const FOUND: readonly [what: string, families: readonly string[], drawn: object][] = [
  [
    'a product with no columns',
    ['matmul', 'linear'],
    { rows: 1, depth: 1, columns: 0, transposeA: false, transposeB: false, bias: false, seed: 0, spiked: false },
  ],
  [
    'a sum of nothing',
    ['matmul', 'linear'],
    { rows: 5, depth: 0, columns: 7, transposeA: true, transposeB: false, bias: true, seed: 0, spiked: false },
  ],
  [
    'a layer without cells',
    ['kakuritsuLinear', 'dropConnectLinear'],
    { batch: 1, inputs: 1, cells: 0, p: 0, sampleOffset: 0, exact: false, seed: 0, spiked: false },
  ],
  [
    'an infinity in the last row of an odd depth',
    ['matmul'],
    { rows: 1, depth: 5, columns: 1, transposeA: false, transposeB: true, bias: false, seed: 0, spiked: true },
  ],
  ['a gradient where the result is NaN', ['relu', 'addRelu'], { rows: 1, columns: 1, seed: 0, spiked: true }],
]

for (const [what, names, drawn] of FOUND)
  found(what, async () => {
    for (const { family, variant } of names.flatMap((name) => subjects(device, `${name} `)))
      if (names.includes(family.name)) await checkCase(device, family, variant, drawn)
  })

found('a tensor of no elements reads as none', async () => {
  assert.is((await relu(Tensor.zeros(device, [0, 3])).read()).length, 0)
})

found('an image of no size is refused; a batch of no images is not', async () => {
  const make = (...shape: number[]) => Tensor.zeros(device, shape)
  const [weight, bias, runningMean, runningVar] = [1, 2, 3, 4].map(() => make(0))
  for (const refused of [
    () => conv2d(make(1, 4, 4, 0), make(1, 1, 0, 2)),
    () => conv2d(make(1, 4, 4, 2), make(1, 1, 2, 0)),
    () => conv2d(make(1, 0, 4, 2), make(1, 1, 2, 2), { padding: 1 }),
    () => maxPool2d(make(1, 4, 4, 0), { kernelSize: 1 }),
    () => adaptiveAvgPool2d(make(1, 0, 4, 2), [1, 1]),
    () => batchNorm2d(make(1, 4, 4, 0), { weight, bias, runningMean, runningVar, training: false }),
  ])
    assert.throws(refused, (error: Error) => error instanceof ShapeError && /no size but/.test(error.message))
  const out = conv2d(make(0, 4, 4, 2), make(3, 3, 2, 5))
  assert.equal([...out.shape], [0, 2, 2, 5])
  assert.is((await out.read()).length, 0)
})

found.run()

const limits = suite('kernels at the limits of bindings and dispatches')

/** Writes four elements of a tensor, and reads four. */
function put(x: Tensor, at: number, four: readonly number[]): void {
  const elements = Tensor.from(device, Float32Array.from(four))
  device.copy(elements.storage.buffer, x.storage.buffer, 16, 0, at * 4)
}

function take(x: Tensor, at: number): Promise<Float32Array> {
  const elements = empty(device, [4])
  device.copy(x.storage.buffer, elements.storage.buffer, 16, at * 4)
  return elements.read()
}

limits('a tensor as large as a binding may be, which is more workgroups than one axis takes', async () => {
  const size = Math.min(2 ** 25, Math.floor(device.limits.maxStorageBufferBindingSize / 16) * 4)
  const [first, last] = scope(() => {
    const x = Tensor.zeros(device, [size])
    put(x, 0, [-1, 2, -3, 4])
    put(x, size - 4, [5, -6, 7, NaN])
    const y = relu(x)
    return [take(y, 0), take(y, size - 4)]
  })
  assert.equal([...(await first)], [0, 2, 0, 4])
  assert.equal([...(await last)], [5, 0, 7, NaN])
})

limits('a tensor beyond a binding is refused, with what it takes', () => {
  const size = device.limits.maxStorageBufferBindingSize / 4 + 4
  assert.throws(() => empty(device, [size]), /binds at most \d+ bytes.* a tensor \[\d+\], \d+ bytes/)
})

limits('a product of more tiles than one axis takes', async () => {
  const rows = 64 * 65_536 + 1
  const last = scope(() => {
    const x = Tensor.zeros(device, [rows, 1])
    put(x, rows - 4, [1, 2, 3, 4])
    return take(matmul(x, Tensor.from(device, Float32Array.of(2), [1, 1])), rows - 4)
  })
  assert.equal([...(await last)], [2, 4, 6, 8])
})

limits.run()

const itself = suite('the fuzzer')

itself('shows a wrong variant by name and by its smallest case', async () => {
  const wrong = family<{ size: number }>({
    name: 'sum',
    variants: kinds,
    cases: fc.record({ size: fc.nat({ max: 100 }) }),
    check: async ({ size }) => assert.ok(size < 17, 'too large'),
  })
  const message = await fault(device, wrong, kinds[0], { seed: 1, runs: 50 })
  assert.is(message, `sum gpu: too large\n  npm run fuzz -- --filter 'sum gpu' --case '{"size":17}'`)
})

itself('sees an element that was not written, whatever else is NaN', async () => {
  for (const spiked of [false, true]) {
    const lazy = family<{ spiked: boolean }>({
      name: 'lazy',
      variants: kinds,
      cases: fc.constant({ spiked }),
      check: async () => {
        const values = await scope(() => empty(device, [5]).read())
        assert.ok(
          values.every((value) => (spiked ? value > 1e30 : Number.isNaN(value))),
          'poisoned',
        )
      },
    })
    await checkCase(device, lazy, kinds[0], { spiked })
  }
})

itself.run()
