/** Batch normalisation at ResNet-152's shapes: bound by memory, so seen beside a copy of x. */
import { batchNorm2d, noGrad } from '../engine/index.ts'
import { batchNorm2d as reference } from '../test/reference/batchnorm.ts'
import { Random } from '../test/reference/nd.ts'
import { COPY, copyOf } from './ceilings.ts'
import { close, part, read, some, sumOf } from './check.ts'
import { type Family, gradientOf, type Work, type Workbench } from './work.ts'

/** Sides and channels: the widest of the first, third and last stage. */
const IMAGES = [
  { size: 56, channels: 256 },
  { size: 14, channels: 1024 },
  { size: 7, channels: 2048 },
]

interface Mode {
  name: string
  training: boolean
  /** Whether it ends a residual block: adds the residual and clamps at 0. */
  ending: boolean
  /** Tensors of x's size that a run moves, forwards and backwards. */
  moved: readonly [forward: number, backward: number]
}

/** Training sums a batch up before it can normalise it: it reads x twice, and backwards dy (and y, to clamp) too. */
const MODES: readonly Mode[] = [
  { name: 'train', training: true, ending: false, moved: [3, 5] },
  { name: 'train, + residual, relu', training: true, ending: true, moved: [4, 7] },
  { name: 'eval', training: false, ending: false, moved: [2, 2] },
]

/** Channels in which a result is checked. */
const CHECKED = 3

export const batchnormFamily: Family = {
  name: 'batchnorm',
  groups: ({ software }) =>
    IMAGES.map(({ size, channels }) => {
      const shape = [software ? 8 : 64, size, size, channels]
      return { name: `batchNorm2d [${shape.join(', ')}]`, prepare: (bench) => works(bench, shape) }
    }),
}

function works(bench: Workbench, shape: number[]): Work[] {
  const channels = shape[3]
  const [x, dy] = [bench.random('x', shape), bench.random('dy', shape)]
  const rows = ['weight', 'bias', 'runningMean'].map((name) => bench.random(name, [channels]))
  // A variance is not negative.
  rows.push(bench.random('runningVar', [channels], (u) => 1 + u / 2))
  const [weight, bias, runningMean, runningVar] = rows.map(({ tensor }) => tensor)
  // Running statistics that stay as they are, so that each run finds the same.
  const fixed = { weight, bias, runningMean, runningVar, momentum: 0, eps: 1e-5 }
  const residual = bench.random('residual', shape)

  const chosen = some(new Random(1), channels, CHECKED)
  const slice = (values: ArrayLike<number>) => part(values, shape, [null, null, null, chosen])
  const parameters = rows.map(({ values }) => part(values, [channels], [chosen]))
  const tolerance = sumOf(shape[0] * shape[1] * shape[2])
  const bytes = x.values.byteLength

  const modeWorks = ({ name, training, ending, moved }: Mode): Work[] => {
    const after = ending ? { residual: residual.tensor, relu: true } : {}
    const forward = () => noGrad(() => batchNorm2d(x.tensor, { ...fixed, training, ...after }))
    const gradient = gradientOf(bench, [x.tensor], 0, dy.tensor, ([x]) =>
      batchNorm2d(x, { ...fixed, training, ...after }),
    )
    const expected = () => {
      const [weight, bias, runningMean, runningVar] = parameters
      const options = { weight, bias, runningMean, runningVar, training, momentum: 0, eps: fixed.eps }
      return reference(slice(x.values), ending ? { ...options, residual: slice(residual.values), relu: true } : options)
    }
    return [
      {
        name: `${name}, forward`,
        run: forward,
        bytes: moved[0] * bytes,
        against: COPY,
        check: async () => close(slice(await read(forward)), expected().out, tolerance),
      },
      {
        name: `${name}, gradients`,
        run: gradient,
        bytes: moved[1] * bytes,
        against: COPY,
        check: async () => close(slice(await read(gradient)), expected().backward(slice(dy.values)).x, tolerance),
      },
    ]
  }
  return [copyOf(bench, bytes), ...MODES.flatMap(modeWorks)]
}
