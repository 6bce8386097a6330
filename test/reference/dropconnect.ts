import type { Key } from '../../engine/random.ts'
import { keeps } from './dropout.ts'
import { kakuritsuLinear } from './kakuritsu.ts'
import type { Nd, Reference } from './nd.ts'

/** Σ_i M[n,i] · W[i,n] · x[b,i]: a Kakuritsu layer whose mask knows no sample. x: [N, in], weight: [in, out]. */
export const dropConnectLinear = (
  x: Nd,
  weight: Nd,
  { key, p, maskGradient }: { key: Key; p: number; maskGradient: 'straight-through' | 'exact' },
): Reference =>
  kakuritsuLinear(x, weight, { takesPart: (_, cell, input) => keeps(key, 1 - p, input, cell), maskGradient })
