/** relu, add+relu, dropout and a step of SGD: bound by memory, so seen beside a copy of x. */
import { addRelu, dropout, type Key, noGrad, relu, sgdStep, Tensor } from '../engine/index.ts'
import { dropout as dropoutReference } from '../test/reference/dropout.ts'
import { addRelu as addReluReference, relu as reluReference } from '../test/reference/elementwise.ts'
import { type Nd, nd, Random, type Reference } from '../test/reference/nd.ts'
import { sgdStep as sgdReference } from '../test/reference/update.ts'
import { COPY, copyOf } from './ceilings.ts'
import { close, part, read, some, sumOf } from './check.ts'
import { type Family, type Group, gradientOf, type Work, type Workbench } from './work.ts'

/** What the first layer of a head gives. */
const CELLS = [64, 1000]

/** The largest weight of ResNet-152: 3 × 3, 512 → 512. */
const WEIGHT = [3, 3, 512, 512]

const KEY: Key = { seed: 2024, layer: 0, step: 7 }
const SETTINGS = { lr: 0.01, momentum: 0.9, weightDecay: 1e-4 }

/** Channels in which a large result is checked; a small one is checked throughout. */
const CHECKED = 4

interface Op {
  name: string
  shape: number[]
  inputs: number
  op: (inputs: readonly Tensor[]) => Tensor
  reference: (inputs: readonly Nd[]) => Reference
  /** Tensors of x's size that a run moves, forwards and backwards. */
  moved: readonly [forward: number, backward: number]
}

export const elementwiseFamily: Family = {
  name: 'elementwise',
  groups: ({ software }) => {
    const image = [software ? 8 : 64, 56, 56, 256]
    const ops: Op[] = [
      {
        name: 'relu',
        ...{ shape: image, inputs: 1, moved: [2, 3] },
        op: ([x]) => relu(x),
        reference: ([x]) => reluReference(x),
      },
      {
        name: 'addRelu',
        ...{ shape: image, inputs: 2, moved: [3, 3] },
        op: ([a, b]) => addRelu(a, b),
        reference: ([a, b]) => {
          const { out, backward } = addReluReference(a, b)
          return { out, backward: (dOut) => ({ x: backward(dOut).a }) }
        },
      },
      {
        name: 'dropout 0.5',
        ...{ shape: CELLS, inputs: 1, moved: [2, 2] },
        op: ([x]) => dropout(x, 0.5, { key: KEY }),
        reference: ([x]) => dropoutReference(x, 0.5, KEY),
      },
    ]
    const update: Group = { name: `sgdStep [${WEIGHT.join(', ')}]`, prepare: updateWorks }
    return [
      ...ops.map((op) => ({
        name: `${op.name} [${op.shape.join(', ')}]`,
        prepare: (bench: Workbench) => opWorks(bench, op),
      })),
      update,
    ]
  },
}

function opWorks(bench: Workbench, { shape, inputs, op, reference, moved }: Op): Work[] {
  const given = Array.from({ length: inputs }, (_, i) => bench.random(`input ${i}`, shape))
  const dy = bench.random('dy', shape)
  const tensors = given.map(({ tensor }) => tensor)
  const forward = () => noGrad(() => op(tensors))
  const backward = gradientOf(bench, tensors, 0, dy.tensor, op)
  const chosen = shape.length === 4 ? some(new Random(1), shape[3], CHECKED) : null
  const slice = (values: ArrayLike<number>) => part(values, shape, [...shape.slice(1).map(() => null), chosen])
  const expected = () => reference(given.map(({ values }) => slice(values)))
  const bytes = dy.values.byteLength
  return [
    copyOf(bench, bytes),
    {
      name: 'forward',
      run: forward,
      bytes: moved[0] * bytes,
      against: COPY,
      check: async () => close(slice(await read(forward)), expected().out, sumOf(1)),
    },
    {
      name: 'gradient',
      run: backward,
      bytes: moved[1] * bytes,
      against: COPY,
      check: async () => close(slice(await read(backward)), expected().backward(slice(dy.values)).x, sumOf(1)),
    },
  ]
}

/** The step changes the parameter in place: it is checked on the first, and goes on from there when timed. */
function updateWorks(bench: Workbench): Work[] {
  const [param, grad] = [bench.random('param', WEIGHT), bench.random('grad', WEIGHT)]
  const velocity = bench.keep(Tensor.zeros(bench.device, WEIGHT))
  const run = () => sgdStep(param.tensor, grad.tensor, velocity, SETTINGS)
  const bytes = param.values.byteLength
  return [
    copyOf(bench, bytes),
    {
      name: 'step',
      run,
      bytes: 5 * bytes,
      against: COPY,
      check: async () => {
        run()
        const expected = sgdReference(nd(WEIGHT, param.values), nd(WEIGHT, grad.values), nd(WEIGHT), SETTINGS)
        close(await param.tensor.read(), expected.param, sumOf(1), 'parameter')
        close(await velocity.read(), expected.velocity, sumOf(1), 'velocity')
      },
    },
  ]
}
