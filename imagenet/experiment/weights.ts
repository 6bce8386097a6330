/** A head's weights as a report shows them: how they are distributed, and one cell of each layer. */
import type { Head } from '../../nn/index.ts'

export interface LayerSummary {
  /** How many weights lie in [low + i · width, low + (i + 1) · width). */
  histogram: { low: number; width: number; counts: number[] }
  /** The weights of the layer's first cell, to 4 digits. */
  cell: number[]
}

export interface WeightsSummary {
  li1: LayerSummary
  li2: LayerSummary
}

/** A twentieth of the range that weights start in, unless that makes more bins than can be told apart. */
const BIN = 0.01
const MOST_BINS = 200

export async function summarizeWeights(head: Head): Promise<WeightsSummary> {
  const state = await head.stateDict()
  const summary = (name: string): LayerSummary => {
    const { data, shape } = state.get(`${name}.weight`)!
    const weights = data as Float32Array
    // [out, in]: a cell is a row.
    const cell = Array.from(weights.subarray(0, shape[1]), (weight) => Number(weight.toPrecision(4)))
    return { histogram: histogram(weights), cell }
  }
  return { li1: summary('li1'), li2: summary('li2') }
}

/** @throws Error when a weight is not finite */
export function histogram(values: Float32Array): LayerSummary['histogram'] {
  let [least, most] = [Infinity, -Infinity]
  for (const value of values) {
    if (!Number.isFinite(value)) throw new Error(`a weight is ${value}: the head has diverged; lower --lr`)
    if (value < least) least = value
    if (value > most) most = value
  }
  let width = BIN
  while ((most - least) / width > MOST_BINS) width *= 2
  const first = Math.floor(least / width)
  const counts = Array.from({ length: Math.floor(most / width) - first + 1 }, () => 0)
  for (const value of values) counts[Math.floor(value / width) - first]++
  return { low: first * width, width, counts }
}
