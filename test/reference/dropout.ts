import { type Key, keyWords, Purpose, threefry4x32 } from '../../engine/random.ts'
import { map, type Nd, type Reference, size } from './nd.ts'

/** Whether dropout keeps a feature of a sample. p in [0, 1]. */
export function keeps(key: Key, p: number, sample: number, feature: number): boolean {
  if (p === 0 || p === 1) return p === 0
  const counter = [Math.floor(feature / 4), 0, sample, Purpose.dropout * 2 ** 24] as const
  return threefry4x32(counter, keyWords(key))[feature % 4] >= Math.round(p * 2 ** 32)
}

/** x / (1 − p) where kept, else 0. x: [N, ...]. */
export function dropout(x: Nd, p: number, key: Key, sampleOffset = 0): Reference {
  const features = size(x.shape.slice(1))
  const scale = map(x, (_, i) =>
    keeps(key, p, sampleOffset + Math.floor(i / features), i % features) ? 1 / (1 - p) : 0,
  )
  const times = (y: Nd) => map(y, (value, i) => value * scale.data[i])
  return { out: times(x), backward: (dOut) => ({ x: times(dOut) }) }
}
