/** What the kernels must hold, and whether a run of `npm run bench` and one of `npm run bench:peers` show it. */

import { MARKED } from './resnet152.ts'
import type { Row } from './work.ts'

/** A row of bench:peers, as its JSON has it. */
export interface PeerResult {
  row: string
  peer: string
  /** Whether the peer runs on the same adapter. */
  webgpu: boolean
  ours?: number
  theirs?: number
  /** Their time over ours. */
  ratio?: number
  /** Why there is no ratio. */
  failed?: string
  cannot?: boolean
}

export interface Measurements {
  rows: readonly Row[]
  peers: readonly PeerResult[]
}

export interface Bar {
  work: string
  /** Faster than another by a factor, or not slower by more than one. */
  sense: 'at least' | 'at most'
  bound: number
  aim: number
  /** The factors measured, by what they were measured on. */
  measured(measurements: Measurements): { name: string; factor: number }[]
}

/** Their time over ours for the best peer on the same adapter, in each of the rows. */
const bestPeer =
  (...names: string[]) =>
  ({ peers }: Measurements) =>
    names.flatMap((name) => {
      const factors = peers.flatMap(({ row, webgpu, ratio }) => (row === name && webgpu && ratio ? [ratio] : []))
      return factors.length > 0 ? [{ name, factor: Math.min(...factors) }] : []
    })

const peer =
  (wanted: string, ...names: string[]) =>
  ({ peers }: Measurements) =>
    peers.flatMap(({ row, peer, ratio }) =>
      peer === wanted && names.includes(row) && ratio ? [{ name: row, factor: ratio }] : [],
    )

/** The ratios of our own rows to the work that they are seen beside. */
const own =
  (chosen: (row: Row) => boolean) =>
  ({ rows }: Measurements) =>
    rows.flatMap((row) =>
      row.ratio && chosen(row) ? [{ name: `${row.group}, ${row.work}`, factor: row.ratio.value }] : [],
    )

const NETWORK = ['ResNet-152 forward, batch 1 at 224', 'ResNet-152 forward, batch 8 at 64']

export const BARS: readonly Bar[] = [
  {
    work: 'matmul 1024³ against the best WebGPU peer',
    ...{ sense: 'at least', bound: 5, aim: 12 },
    measured: bestPeer('matmul 1024³'),
  },
  {
    work: 'convolutions forward, batch 1, against the best WebGPU peer',
    ...{ sense: 'at least', bound: 4, aim: 10 },
    measured: bestPeer(...MARKED),
  },
  {
    work: 'ResNet-152 forward against the best WebGPU peer',
    ...{ sense: 'at least', bound: 5, aim: 12 },
    measured: bestPeer(...NETWORK),
  },
  {
    work: "ResNet-152 forward against onnxruntime-web's WASM on one thread",
    ...{ sense: 'at least', bound: 1, aim: 1 },
    measured: peer('onnxruntime-web wasm, 1 thread', ...NETWORK),
  },
  {
    work: 'data gradient of a convolution against its forward',
    ...{ sense: 'at most', bound: 1.7, aim: 1.2 },
    measured: own(({ family, work }) => family === 'conv2d' && work === 'data gradient'),
  },
  {
    work: 'weight gradient of a convolution against its forward',
    ...{ sense: 'at most', bound: 1.7, aim: 1.2 },
    measured: own(({ family, work }) => family === 'conv2d' && work === 'weight gradient'),
  },
  {
    work: 'ResNet-152 training step against our train-mode forward',
    ...{ sense: 'at most', bound: 3.5, aim: 3 },
    measured: own(({ work }) => work === 'training step'),
  },
  {
    work: 'head step, plain, against jax-js',
    ...{ sense: 'at least', bound: 5, aim: 10 },
    measured: peer('jax-js', 'head step, plain, batch 64'),
  },
  {
    work: 'Kakuritsu forward, p = 0.5, against our linear layer',
    ...{ sense: 'at most', bound: 1.6, aim: 1.25 },
    measured: own(({ family, work }) => family === 'kakuritsu' && work === 'Kakuritsu, p = 0.5'),
  },
  {
    work: 'Kakuritsu at any p, and its exact gradient, against our linear layer',
    ...{ sense: 'at most', bound: 2.2, aim: 1.5 },
    measured: own(
      ({ family, work }) => family === 'kakuritsu' && (work === 'Kakuritsu, p = 0.3' || work.endsWith('exact')),
    ),
  },
  {
    work: "first ResNet-152 forward of a process against its second, Mesa's shader cache warm",
    ...{ sense: 'at most', bound: 2, aim: 1.2 },
    measured: own(({ family, group }) => family === 'start' && group.endsWith('warm')),
  },
  {
    work: "first ResNet-152 forward of a process against its second, Mesa's shader cache off",
    ...{ sense: 'at most', bound: 8, aim: 4 },
    measured: own(({ family, group }) => family === 'start' && group.endsWith('without its shader cache')),
  },
]

/** The factor that counts: the worst. */
export function worst(
  { sense, measured }: Bar,
  measurements: Measurements,
): { name: string; factor: number } | undefined {
  const sign = sense === 'at least' ? 1 : -1
  return measured(measurements).sort((a, b) => sign * (a.factor - b.factor))[0]
}

export const holds = ({ sense }: Bar, factor: number, bound: number): boolean =>
  sense === 'at least' ? factor >= bound : factor <= bound
