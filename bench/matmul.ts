/** Products of matrices, and the linear layer of the heads: forward, and both gradients against it. */
import { linear, matmul, noGrad, type Tensor } from '../engine/index.ts'
import { matmul as reference } from '../test/reference/matmul.ts'
import { Random } from '../test/reference/nd.ts'
import { close, part, read, some, sumOf } from './check.ts'
import { type Family, type Group, gradientOf, type Work, type Workbench } from './work.ts'

/** Rows and columns in which a product is checked. */
const CHECKED = 8

type Product = (a: Tensor, b: Tensor) => Tensor

interface Sizes {
  rows: number
  depth: number
  columns: number
}

const SQUARE: Sizes = { rows: 1024, depth: 1024, columns: 1024 }

/** The heads' layers at the batch of the published runs. */
const LAYERS: Sizes[] = [
  { rows: 64, depth: 2048, columns: 1000 },
  { rows: 64, depth: 1000, columns: 1000 },
]

export const matmulFamily: Family = {
  name: 'matmul',
  groups: () => [
    group(`matmul ${show(SQUARE)}`, SQUARE, matmul),
    ...LAYERS.map((sizes) => group(`linear ${show(sizes)}`, sizes, linear)),
  ],
}

const show = ({ rows, depth, columns }: Sizes): string => `[${rows}, ${depth}] · [${depth}, ${columns}]`

const group = (name: string, sizes: Sizes, op: Product): Group => ({
  name,
  prepare: (bench) => works(bench, sizes, op),
})

function works(bench: Workbench, { rows, depth, columns }: Sizes, op: Product): Work[] {
  const a = bench.random('a', [rows, depth])
  const b = bench.random('b', [depth, columns])
  const dy = bench.random('dy', [rows, columns])
  const flops = 2 * rows * depth * columns

  const forward = () => noGrad(() => op(a.tensor, b.tensor))
  const [gradientA, gradientB] = [0, 1].map((which) =>
    gradientOf(bench, [a.tensor, b.tensor], which, dy.tensor, ([a, b]) => op(a, b)),
  )

  const random = new Random(rows)
  const [someRows, inner, someColumns] = [rows, depth, columns].map((extent) => some(random, extent, CHECKED))
  const partA = (rows: number[] | null, columns: number[] | null) => part(a.values, a.shape, [rows, columns])
  const partB = (rows: number[] | null, columns: number[] | null) => part(b.values, b.shape, [rows, columns])
  const partDy = (rows: number[] | null, columns: number[] | null) => part(dy.values, dy.shape, [rows, columns])
  return [
    {
      name: 'forward',
      run: forward,
      flops,
      check: async () => {
        const { out } = reference(partA(someRows, null), partB(null, someColumns))
        close(part(await read(forward), dy.shape, [someRows, someColumns]), out, sumOf(depth))
      },
    },
    {
      name: 'gradient of the left',
      run: gradientA,
      flops,
      against: 'forward',
      check: async () => {
        const { backward } = reference(partA(someRows, inner), partB(inner, null))
        const actual = part(await read(gradientA), a.shape, [someRows, inner])
        close(actual, backward(partDy(someRows, null)).a, sumOf(columns))
      },
    },
    {
      name: 'gradient of the right',
      run: gradientB,
      flops,
      against: 'forward',
      check: async () => {
        const { backward } = reference(partA(null, inner), partB(inner, someColumns))
        const actual = part(await read(gradientB), b.shape, [inner, someColumns])
        close(actual, backward(partDy(null, someColumns)).b, sumOf(rows))
      },
    },
  ]
}
