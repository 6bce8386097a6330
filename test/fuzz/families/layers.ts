/** Ops on matrices and on elements wherever they lie: random masks, losses, activations, optimizers' steps. */
import * as fc from 'fast-check'
import * as assert from 'uvu/assert'
import { fromHalf, toHalf } from '../../../engine/half.ts'
import {
  adadeltaStep,
  add,
  addRelu,
  crossEntropy,
  dropConnectLinear,
  dropout,
  half,
  hasHalf,
  kakuritsuLinear,
  logSoftmax,
  nllLoss,
  relu,
  scale,
  scope,
  sgdStep,
  sgdSteps,
  topkCorrect,
} from '../../../engine/index.ts'
import { checkOp, ROUNDING, type Row, tensor, whole } from '../../ops/check.ts'
import * as dropconnect from '../../reference/dropconnect.ts'
import * as dropped from '../../reference/dropout.ts'
import * as elementwise from '../../reference/elementwise.ts'
import * as kakuritsu from '../../reference/kakuritsu.ts'
import * as loss from '../../reference/loss.ts'
import { close, map, type Nd, nd } from '../../reference/nd.ts'
import * as update from '../../reference/update.ts'
import { extent, finite, type Numbers, numbers, positive, randomOf, rowCount, values } from '../draw.ts'
import { type Family, family } from '../fuzz.ts'
import { kinds, sharings } from '../variants.ts'

/** Synapses times samples that a mask's reference draws, at most: each takes a few rounds of Threefry. */
const MOST_DRAWS = 12_000

const MOST_ELEMENTS = 300_000

interface Masked extends Numbers {
  batch: number
  inputs: number
  cells: number
  p: number
  sampleOffset: number
  exact: boolean
}

const masked: fc.Arbitrary<Masked> = fc
  .record({
    batch: extent(70),
    inputs: extent(140),
    cells: extent(140),
    p: fc.constantFrom(0, 2 ** -32, 0.1, 0.3, 0.5, 0.5, 0.9, 1),
    sampleOffset: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 40 })),
    exact: fc.boolean(),
    ...numbers,
  })
  .filter(({ batch, inputs, cells }) => Math.max(1, batch) * inputs * cells <= MOST_DRAWS)
  // What a mask leaves out is no sum's business; straight through it is.
  .map((drawn) => ({ ...drawn, spiked: drawn.spiked && drawn.exact && drawn.p > 0 }))

const maskedRow = (drawn: Masked) => ({
  inputs: {
    x: values([drawn.batch, drawn.inputs], drawn, 0),
    weight: finite([drawn.inputs, drawn.cells], drawn, 1),
  },
  key: { seed: drawn.seed, layer: 2, step: 3 },
  maskGradient: drawn.exact ? ('exact' as const) : ('straight-through' as const),
})

function fire(drawn: Masked): Promise<void> {
  const { p, sampleOffset } = drawn
  const { inputs, key, maskGradient } = maskedRow(drawn)
  return checkOp({
    name: 'kakuritsuLinear',
    inputs,
    op: ({ x, weight }) => kakuritsuLinear(x, weight, p, { key, maskGradient, sampleOffset }),
    reference: ({ x, weight }) =>
      kakuritsu.kakuritsuLinear(x, weight, { takesPart: kakuritsu.mask(key, p), maskGradient, sampleOffset }),
  })
}

function connect(drawn: Masked): Promise<void> {
  const { p } = drawn
  const { inputs, key, maskGradient } = maskedRow({ ...drawn, spiked: false })
  return checkOp({
    name: 'dropConnectLinear',
    inputs,
    op: ({ x, weight }) => dropConnectLinear(x, weight, p, { key, maskGradient }),
    reference: ({ x, weight }) => dropconnect.dropConnectLinear(x, weight, { key, p, maskGradient }),
  })
}

interface Matrix extends Numbers {
  rows: number
  columns: number
}

const matrices = (least: number): fc.Arbitrary<Matrix> =>
  fc
    .record({
      rows: fc.oneof(
        extent(300, least),
        rowCount(300).filter((n) => n >= least),
      ),
      columns: fc.oneof(extent(300, least), extent(3000, least)),
      ...numbers,
    })
    .filter(({ rows, columns }) => rows * columns <= MOST_ELEMENTS)

const dropouts = fc
  .record({
    matrix: matrices(0),
    p: fc.constantFrom(0.1, 0.5, 0.75, 1),
    sampleOffset: fc.integer({ min: 0, max: 40 }),
  })
  .map(({ matrix, ...rest }) => ({ ...matrix, ...rest, spiked: false }))
  .filter(({ rows, columns }) => rows * columns <= 4 * MOST_DRAWS)

function drop(drawn: Matrix & { p: number; sampleOffset: number }): Promise<void> {
  const key = { seed: drawn.seed, layer: 1, step: 9 }
  const { p, sampleOffset } = drawn
  return checkOp({
    name: 'dropout',
    inputs: { x: values([drawn.rows, drawn.columns], drawn) },
    op: ({ x }) => dropout(x, p, { key, sampleOffset }),
    // Where p is 1 the reference's scale is 1 / 0, of nothing.
    reference: ({ x }) => dropped.dropout(x, p, key, sampleOffset),
  })
}

/** An op of one or two operands of one shape. */
const elements = (
  name: string,
  inputs: readonly string[],
  op: Row<string>['op'],
  reference: Row<string>['reference'],
) =>
  family<Matrix>({
    name,
    variants: kinds,
    cases: matrices(0),
    check: (drawn) =>
      checkOp({
        name,
        inputs: Object.fromEntries(inputs.map((input, i) => [input, values([drawn.rows, drawn.columns], drawn, i)])),
        op,
        reference,
      }),
  })

/** Logits large enough for exp to overflow, were the maximum not taken off. */
const logitsOf = (drawn: Matrix): Nd =>
  map(finite([drawn.rows, drawn.columns], drawn), (value) => Math.fround(100 * value))

/** None is positive, so that their mean does not cancel. */
const logProbabilitiesOf = (drawn: Matrix): Nd => map(logitsOf(drawn), (value) => -Math.abs(value))

const labelsOf = (drawn: Matrix): Nd => randomOf(drawn, 7).integers([drawn.rows], drawn.columns)

const lossOf = (
  name: string,
  op: (x: Parameters<typeof logSoftmax>[0], labels: Nd) => ReturnType<typeof logSoftmax>,
  reference: (x: Nd, labels: Nd) => ReturnType<typeof loss.logSoftmax>,
  inputOf = logitsOf,
) =>
  family<Matrix>({
    name,
    variants: kinds,
    cases: matrices(1).map((drawn) => ({ ...drawn, spiked: false })),
    check: (drawn) => {
      const labels = labelsOf(drawn)
      return checkOp({
        name,
        inputs: { x: inputOf(drawn) },
        op: ({ x }) => op(x, labels),
        reference: ({ x }) => reference(x, labels),
      })
    },
  })

async function count(drawn: Matrix): Promise<void> {
  const ks = [1, 2, 5, 1000]
  const shape = [drawn.rows, drawn.columns]
  // Few distinct values, for ties.
  const logits = drawn.spiked ? values(shape, drawn) : randomOf(drawn).integers(shape, 9)
  const labels = labelsOf(drawn)
  const x = await tensor(logits)
  const counts = await scope(() => topkCorrect(x, whole(x, labels), ks).readU32())
  assert.equal([...counts], [...loss.topkCorrect(logits, labels, ks).data])
}

/** A step by itself, and that of two parameters at once. */
async function descend(drawn: Matrix): Promise<void> {
  const options = { lr: 0.1, momentum: 0.9, weightDecay: 0.01 }
  const [param, grad, velocity] = [0, 1, 2].map((i) => values([drawn.rows, drawn.columns], drawn, i))
  const copies = [0, 1, 2].map(() => Promise.all([param, grad, velocity].map(tensor)))
  const [alone, ...pair] = (await Promise.all(copies)).map(([param, grad, velocity]) => ({ param, grad, velocity }))
  scope(() => {
    sgdStep(alone.param, alone.grad, alone.velocity, options)
    sgdSteps(pair, options)
  })
  const expected = update.sgdStep(param, grad, velocity, options)
  for (const { param, velocity } of [alone, ...pair]) {
    close(await param.read(), expected.param, ROUNDING, 'parameter')
    close(await velocity.read(), expected.velocity, ROUNDING, 'velocity')
  }
}

async function adapt(drawn: Matrix): Promise<void> {
  const options = { lr: 1, rho: 0.9, eps: 1e-6, weightDecay: 0.01 }
  const shape = [drawn.rows, drawn.columns]
  const [param, grad] = [0, 1].map((i) => finite(shape, drawn, i))
  const [squareAverage, deltaAverage] = [2, 3].map((i) => positive(shape, drawn, i))
  const [p, g, s, d] = await Promise.all([param, grad, squareAverage, deltaAverage].map(tensor))
  scope(() => adadeltaStep(p, g, { squareAverage: s, deltaAverage: d }, options))
  const expected = update.adadeltaStep(param, grad, { squareAverage, deltaAverage }, options)
  close(await p.read(), expected.param, ROUNDING, 'parameter')
  close(await s.read(), expected.squareAverage, ROUNDING, 'square average')
  close(await d.read(), expected.deltaAverage, ROUNDING, 'delta average')
}

async function round(drawn: Matrix): Promise<void> {
  const x = await tensor(values([drawn.rows, drawn.columns], drawn))
  if (!hasHalf(x.device)) return
  const rounded = await scope(() => half(x).read())
  const exact = fromHalf(toHalf(await x.read()))
  close(rounded, nd(x.shape, exact), { rtol: 2 ** -10, atol: 2 ** -24 })
}

export const layerFamilies: readonly Family[] = [
  family({ name: 'kakuritsuLinear', variants: sharings, cases: masked, check: fire }),
  family({
    name: 'dropConnectLinear',
    variants: kinds,
    cases: masked.map((drawn) => ({ ...drawn, spiked: false })),
    check: connect,
  }),
  family({ name: 'dropout', variants: kinds, cases: dropouts, check: drop }),
  elements(
    'relu',
    ['x'],
    ({ x }) => relu(x),
    ({ x }) => elementwise.relu(x),
  ),
  elements(
    'add',
    ['a', 'b'],
    ({ a, b }) => add(a, b),
    ({ a, b }) => elementwise.add(a, b),
  ),
  elements(
    'addRelu',
    ['a', 'b'],
    ({ a, b }) => addRelu(a, b),
    ({ a, b }) => elementwise.addRelu(a, b),
  ),
  elements(
    'scale',
    ['x'],
    ({ x }) => scale(x, 0.3),
    ({ x }) => elementwise.scale(x, 0.3),
  ),
  lossOf(
    'logSoftmax',
    (x) => logSoftmax(x),
    (x) => loss.logSoftmax(x),
  ),
  lossOf('nllLoss', (x, labels) => nllLoss(x, whole(x, labels)), loss.nllLoss, logProbabilitiesOf),
  lossOf('crossEntropy', (x, labels) => crossEntropy(x, whole(x, labels)), loss.crossEntropy),
  family({ name: 'topkCorrect', variants: kinds.slice(0, 1), cases: matrices(1), check: count }),
  family({ name: 'sgdStep', variants: kinds, cases: matrices(0), check: descend }),
  family({
    name: 'adadeltaStep',
    variants: kinds,
    cases: matrices(0).map((drawn) => ({ ...drawn, spiked: false })),
    check: adapt,
  }),
  family({ name: 'half', variants: kinds, cases: matrices(0), check: round }),
]
