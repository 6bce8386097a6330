/** ResNet-152's two poolings: bound by memory, so seen beside a copy of x. */
import { adaptiveAvgPool2d, maxPool2d, noGrad, type Tensor } from '../engine/index.ts'
import { type Nd, Random, type Reference } from '../test/reference/nd.ts'
import * as reference from '../test/reference/pool.ts'
import { COPY, copyOf } from './ceilings.ts'
import { close, part, read, some, sumOf } from './check.ts'
import { type Family, gradientOf, type Work, type Workbench } from './work.ts'

interface Pooling {
  name: string
  /** Pixels a side and channels of x, and pixels a side of what comes out. */
  size: number
  channels: number
  outSize: number
  op: (x: Tensor) => Tensor
  reference: (x: Nd) => Reference
  /** Values that an output is made of. */
  window: number
}

const STEM = { kernelSize: 3, stride: 2, padding: 1 }

const POOLINGS: readonly Pooling[] = [
  {
    name: 'maxPool2d 3×3 /2',
    ...{ size: 112, channels: 64, outSize: 56, window: 9 },
    op: (x) => maxPool2d(x, STEM),
    reference: (x) => reference.maxPool2d(x, STEM),
  },
  {
    name: 'adaptiveAvgPool2d 1×1',
    ...{ size: 7, channels: 2048, outSize: 1, window: 49 },
    op: (x) => adaptiveAvgPool2d(x, [1, 1]),
    reference: (x) => reference.adaptiveAvgPool2d(x, [1, 1]),
  },
]

/** Channels in which a result is checked. */
const CHECKED = 4

export const poolFamily: Family = {
  name: 'pool',
  groups: ({ software }) =>
    POOLINGS.map((pooling) => {
      const { name, size, channels } = pooling
      const shape = [software ? 8 : 64, size, size, channels]
      return { name: `${name} [${shape.join(', ')}]`, prepare: (bench: Workbench) => works(bench, pooling, shape) }
    }),
}

function works(bench: Workbench, { outSize, op, reference, window }: Pooling, shape: number[]): Work[] {
  const [images, , , channels] = shape
  const outShape = [images, outSize, outSize, channels]
  const [x, dy] = [bench.random('x', shape), bench.random('dy', outShape)]
  const forward = () => noGrad(() => op(x.tensor))
  const backward = gradientOf(bench, [x.tensor], 0, dy.tensor, ([x]) => op(x))
  const chosen = [null, null, null, some(new Random(1), channels, CHECKED)]
  const expected = () => reference(part(x.values, shape, chosen))
  const bytes = x.values.byteLength + dy.values.byteLength
  return [
    copyOf(bench, x.values.byteLength),
    {
      name: 'forward',
      run: forward,
      bytes,
      against: COPY,
      check: async () => close(part(await read(forward), outShape, chosen), expected().out, sumOf(window)),
    },
    {
      name: 'gradient',
      run: backward,
      bytes,
      against: COPY,
      check: async () => {
        const { x } = expected().backward(part(dy.values, outShape, chosen))
        close(part(await read(backward), shape, chosen), x, sumOf(window))
      },
    },
  ]
}
