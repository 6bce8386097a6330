/** A dispatch that is split gives the bits of one that is not, by every kernel that can be split. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { Dispatch } from '../../engine/commands.ts'
import { backward, conv2d, empty, half, kakuritsuLinear, linear, matmul, scope, Tensor } from '../../engine/index.ts'
import { gemmBy } from '../../engine/ops/gemm.ts'
import { forceGemmVariant, matrixKernels } from '../../engine/ops/gemm_variants.ts'
import { kakuritsuSharing } from '../../engine/ops/kakuritsu.ts'
import { matrixRows } from '../../engine/ops/patches.ts'
import { Profiler } from '../../engine/profile.ts'
import { testDevice } from '../device.ts'
import emulatedSource from '../ops/matrix_cores.wgsl'
import { Random } from '../reference/nd.ts'

const test = suite('split')
const device = await testDevice()
let random = new Random(31)

const drawn = (shape: readonly number[]) => Float32Array.from(random.normal([...shape]).data)

type Op = (...inputs: Tensor[]) => Tensor

/** The op's result and its gradients. */
async function results(op: Op, inputs: Float32Array[], shapes: number[][], trained: boolean) {
  random = new Random(31) // the same gradient of the result, whenever
  const reads = scope(() => {
    const leaves = inputs.map((values, i) => Tensor.from(device, values, shapes[i]))
    for (const leaf of leaves) leaf.requiresGrad = trained
    const out = op(...leaves)
    if (trained) backward(out, Tensor.from(device, drawn(out.shape), out.shape))
    const grads = leaves.flatMap(({ grad }) => grad ?? [])
    const all = [out, ...grads].map((tensor) => tensor.read())
    for (const grad of grads) grad.release()
    return all
  })
  return Promise.all(reads)
}

/** What `act` dispatches, `groups` workgroups a dispatch at most where it can be split. */
async function recorded<T>(groups: number, act: () => Promise<T>): Promise<{ result: T; made: Dispatch[] }> {
  const made: Dispatch[] = []
  const { dispatch } = device
  device.pace.groups = groups
  device.dispatch = (given) => {
    made.push(given)
    dispatch.call(device, given)
  }
  try {
    return { result: await act(), made }
  } finally {
    device.pace.groups = Infinity
    device.dispatch = dispatch
  }
}

/** @param kernels those that must have been split */
async function sameBits(op: Op, shapes: number[][], kernels: string[], trained = true): Promise<void> {
  const inputs = shapes.map(drawn)
  const whole = await results(op, inputs, shapes, trained)
  // Less than a line of workgroups, and no divisor of how many there are; each takes parts of one size and a rest.
  const { result: parts, made } = await recorded(4, () => results(op, inputs, shapes, trained))
  assert.is(parts.length, trained ? shapes.length + 1 : 1)
  parts.forEach((part, i) => {
    assert.ok(new Set(part).size > part.length / 4, `result ${i} is numbers`)
    assert.ok(
      part.every((value, k) => Object.is(value, whole[i][k])),
      `result ${i}`,
    )
  })
  for (const kernel of kernels) {
    const split = made.filter((dispatch) => dispatch.alone && dispatch.kernel.startsWith(kernel))
    assert.ok(split.length > 1, `${kernel} is split`)
    for (const { groups } of split) assert.ok(groups <= 4)
  }
}

for (const variant of ['tiled', 'subgroup'] as const) {
  const forced = (name: string, op: Op, shapes: number[][], kernels: string[]) =>
    test(`${variant}: ${name}`, async () => {
      forceGemmVariant(variant)
      await sameBits(op, shapes, kernels).finally(() => forceGemmVariant(null))
    })
  const subgroups = variant === 'subgroup' && (device.subgroups?.min ?? 0) >= 8
  const product = variant === 'subgroup' && !subgroups ? 'gemm_tiled' : `gemm_${variant}`
  const overRows = `gemm_over_rows_${subgroups ? 'subgroup' : 'tiled'}`
  const large = [
    [525, 37],
    [37, 261],
  ]
  forced('matmul', (a, b) => matmul(a, b), large, [product])
  forced('matmul, transposed', (a, b) => matmul(a, b, { transposeB: true }), [large[0], [261, 37]], [product])
  const image = [2, 19, 17, 33]
  forced('conv2d', (x, w) => conv2d(x, w, { padding: 1 }), [image, [3, 3, 33, 70]], [product, overRows])
  const steps = { stride: 2, padding: 3 }
  forced(
    'conv2d, stride',
    (x, w) => conv2d(x, w, steps),
    [
      [3, 33, 31, 3],
      [7, 7, 3, 70],
    ],
    [product, overRows],
  )
  if (variant === 'tiled')
    forced(
      'in slices',
      (x, w, bias) => linear(x, w, bias),
      [[5, 1100], [1100, 261], [261]],
      ['gemm_tiled_sliced', 'gemm_join'],
    )
}

if (device.features.has('shader-f16') && device.subgroups?.min === device.subgroups?.max)
  test('matrix cores', () => {
    const { straight, tile } = matrixKernels(emulatedSource)
    const kernels = { straight: straight.with({ M: 16, N: 8, K: 8, SUBGROUP: device.subgroups!.min }), tile }
    const [rows, depth, columns] = [261, 40, 133]
    const op: Op = (x, weight) => {
      const out = empty(device, [rows, columns], 'f16')
      const product = { rows, depth, columns, patches: matrixRows(depth), transposed: false }
      gemmBy(kernels, { ...product, x: half(x), weight: half(weight), out })
      return out
    }
    return sameBits(
      op,
      [
        [rows, depth],
        [depth, columns],
      ],
      ['gemm_matrix'],
      false,
    )
  })

test('convolution in groups', () => {
  const kernels = ['conv2d_grouped', 'conv2d_grouped_data', 'conv2d_grouped_weight']
  const op: Op = (x, weight) => conv2d(x, weight, { padding: 1, groups: 3 })
  return sameBits(
    op,
    [
      [2, 13, 11, 15],
      [3, 3, 5, 21],
    ],
    kernels,
  )
})

for (const sharing of ['subgroup', 'each'] as const)
  if (sharing === 'each' || (device.subgroups?.min ?? 0) >= 8)
    for (const p of [0.5, 0.3])
      test(`kakuritsu with p = ${p}, ${sharing}`, async () => {
        const options = { key: { seed: 1, layer: 2, step: 3 }, maskGradient: 'exact', sampleOffset: 5 } as const
        const kernels = ['kakuritsu_forward', 'kakuritsu_backward_x', 'kakuritsu_backward_weight']
        kakuritsuSharing.name = sharing
        const shapes = [
          [70, 301],
          [301, 530],
        ]
        const done = sameBits((x, weight) => kakuritsuLinear(x, weight, p, options), shapes, kernels)
        await done.finally(() => {
          kakuritsuSharing.name = null
        })
      })

test('a grid of several lines is split between them', async () => {
  const { limits } = device
  // As if a device took only six workgroups along one axis.
  const few = new Proxy(limits, {
    get: (target, name) => (name === 'maxComputeWorkgroupsPerDimension' ? 6 : Reflect.get(target, name)),
  })
  const [a, b] = [
    [525, 37],
    [37, 133],
  ].map((shape) => Tensor.from(device, drawn(shape), shape))
  forceGemmVariant('tiled')
  const whole = await scope(() => matmul(a, b)).read()
  Object.assign(device, { limits: few })
  const { result, made } = await recorded(12, () => scope(() => matmul(a, b)).read()).finally(() => {
    Object.assign(device, { limits })
    forceGemmVariant(null)
  })
  assert.equal(
    made.map(({ workgroups }) => workgroups),
    [
      [6, 2, 1],
      [6, 2, 1],
      [6, 1, 1],
    ],
  )
  assert.equal(result, whole)
})

if (device.features.has('timestamp-query'))
  test('every part is timed', async () => {
    const [a, b] = [Tensor.zeros(device, [525, 37]), Tensor.zeros(device, [37, 261])]
    const profiler = new Profiler(device)
    const { made } = await recorded(4, async () => scope(() => matmul(a, b)).read())
    const spans = await profiler.stop()
    assert.ok(made.length > 1)
    assert.equal(
      spans.map(({ kernel }) => kernel),
      made.map(({ kernel }) => kernel),
    )
  })

test.run()
