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
  const options = { momentum: 0, eps: 1e-5 }
  const normalise = (training: boolean) => () =>
    noGrad(() => batchNorm2d(x.tensor, { weight, bias, runningMean, runningVar, training, ...options }))
  const gradient = (training: boolean) =>
    gradientOf(bench, [x.tensor, weight, bias], 0, dy.tensor, ([x, weight, bias]) =>
      batchNorm2d(x, { weight, bias, runningMean, runningVar, training, ...options }),
    )

  const chosen = some(new Random(1), channels, CHECKED)
  const slice = (values: ArrayLike<number>) => part(values, shape, [null, null, null, chosen])
  const parameters = rows.map(({ values }) => part(values, [channels], [chosen]))
  const expected = (training: boolean) => {
    const [weight, bias, runningMean, runningVar] = parameters
    return reference(slice(x.values), { weight, bias, runningMean, runningVar, training, ...options })
  }
  const tolerance = sumOf(shape[0] * shape[1] * shape[2])
  const bytes = x.values.byteLength
  return [
    copyOf(bench, bytes),
    ...[true, false].flatMap((training): Work[] => {
      const mode = training ? 'train' : 'eval'
      const [forward, dx] = [normalise(training), gradient(training)]
      // Training sums a batch up before it can normalise it: it reads x twice, and backwards dy too.
      return [
        {
          name: `${mode}, forward`,
          run: forward,
          bytes: (training ? 3 : 2) * bytes,
          against: COPY,
          check: async () => close(slice(await read(forward)), expected(training).out, tolerance),
        },
        {
          name: `${mode}, gradients`,
          run: dx,
          bytes: (training ? 5 : 2) * bytes,
          against: COPY,
          check: async () => close(slice(await read(dx)), expected(training).backward(slice(dy.values)).x, tolerance),
        },
      ]
    }),
  ]
}
