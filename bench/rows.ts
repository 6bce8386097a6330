/** What is timed side by side with other frameworks, and the numbers that all of them are given. */
import type { SavedTensor } from '../nn/formats/file_tensor.ts'
import { hashed } from '../test/reference/hashed.ts'
import { recordedState } from './network.ts'
import { CONVOLUTIONS, type ConvShape, describe, MARKED } from './resnet152.ts'

export type PeerRow = { name: string } & (
  | { kind: 'matmul'; size: number }
  | { kind: 'conv'; shape: ConvShape }
  | { kind: 'resnet'; images: number; size: number }
  | { kind: 'head'; batch: number; features: number; cells: number; classes: number }
)

export const PEER_ROWS: readonly PeerRow[] = [
  { name: 'matmul 1024³', kind: 'matmul', size: 1024 },
  ...MARKED.map((name): PeerRow => {
    const shape = CONVOLUTIONS.find((shape) => describe(shape) === name)
    if (!shape) throw new Error(`ResNet-152 has no convolution ${name}`)
    return { name, kind: 'conv', shape }
  }),
  { name: 'ResNet-152 forward, batch 1 at 224', kind: 'resnet', images: 1, size: 224 },
  { name: 'ResNet-152 forward, batch 8 at 64', kind: 'resnet', images: 8, size: 64 },
  { name: 'head step, plain, batch 64', kind: 'head', batch: 64, features: 2048, cells: 1000, classes: 1000 },
]

/** Of the head step. */
export const SETTINGS = { lr: 0.01, momentum: 0.9, weightDecay: 1e-4 }

/** Numbers in [-bound, bound), a function of the name. */
export const numbers = (name: string, count: number, bound = 1): Float32Array<ArrayBuffer> =>
  hashed(name, count, (u) => u * bound)

/** One convolution of the network with the BatchNorm behind it folded in: weight OIHW, bias [O]. */
export interface FoldedConv {
  weight: Float32Array
  bias: Float32Array
  /** [O, I, K, K] */
  shape: readonly number[]
  stride: number
  padding: number
}

/**
 * ResNet-152 as an inference engine would be given it, BatchNorm folded into weights and biases: the convolutions by
 * their names (`conv1`, `layer1.0.conv1`, `layer1.0.downsample.0`, …), and the last layer, its weight [1000, 2048].
 */
export function foldedNetwork(): { convs: Map<string, FoldedConv>; fc: { weight: Float32Array; bias: Float32Array } } {
  const state = recordedState()
  const get = (name: string) => state.get(name)!.data as Float32Array
  const convs = new Map<string, FoldedConv>()
  for (const [key, weight] of state) {
    const name = key.replace(/\.weight$/, '')
    if (weight.shape.length !== 4) continue
    const norm = name.replace(/conv(\d)$/, 'bn$1').replace(/downsample\.0$/, 'downsample.1')
    const [gamma, beta, mean, variance] = ['weight', 'bias', 'running_mean', 'running_var'].map((part) =>
      get(`${norm}.${part}`),
    )
    const entersStage = /^layer[234]\.0\.(conv2|downsample\.0)$/.test(name)
    convs.set(name, fold(weight, { gamma, beta, mean, variance }, name === 'conv1' || entersStage ? 2 : 1))
  }
  return { convs, fc: { weight: get('fc.weight'), bias: get('fc.bias') } }
}

function fold(
  { shape, data }: SavedTensor,
  norm: Record<'gamma' | 'beta' | 'mean' | 'variance', Float32Array>,
  stride: number,
): FoldedConv {
  const [outputs, , kernel] = shape
  const taps = data.length / outputs
  const weight = new Float32Array(data.length)
  const bias = new Float32Array(outputs)
  for (let o = 0; o < outputs; o++) {
    const scale = norm.gamma[o] / Math.sqrt(norm.variance[o] + 1e-5)
    for (let i = o * taps; i < (o + 1) * taps; i++) weight[i] = scale * (data as Float32Array)[i]
    bias[o] = norm.beta[o] - scale * norm.mean[o]
  }
  return { weight, bias, shape, stride, padding: (kernel - 1) / 2 }
}
