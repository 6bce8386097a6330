import { type Key, keyWords, Purpose, threefry4x32 } from '../../engine/random.ts'
import { type Nd, nd, type Reference } from './nd.ts'

/** One bit of the mask: whether a synapse takes part. */
export type TakesPart = (sample: number, cell: number, input: number) => boolean

/** The mask of a layer in a step, digit by digit as engine/shaders/kakuritsu_mask.wgsl describes it. p in [0, 1]. */
export function mask(key: Key, p: number): TakesPart {
  if (p === 0 || p === 1) return () => p === 1
  const words = keyWords(key)
  const digits = Math.round(p * 2 ** 32)
  return (sample, cell, input) => {
    const inputGroup = Math.floor(input / 64) * 8 + (input % 8)
    const cellGroup = Math.floor(cell / 32) * 8 + (cell % 8)
    const sampleGroup = Math.floor(sample / 4)
    const bit = 8 * (Math.floor(cell / 8) % 4) + (Math.floor(input / 8) % 8)
    for (let i = 0; i < 32; i++) {
      const drawn = threefry4x32([inputGroup, cellGroup, sampleGroup, Purpose.synapse * 2 ** 24 + i], words)
      const digit = (digits >>> (31 - i)) & 1
      if (((drawn[sample % 4] >>> bit) & 1) === digit) return digit === 1
    }
    return false
  }
}

export interface KakuritsuReference {
  takesPart: TakesPart
  maskGradient: 'straight-through' | 'exact'
  sampleOffset?: number
}

/** Σ_i M[b,n,i] · W[i,n] · x[b,i]. x: [N, in], weight: [in, out]. */
export function kakuritsuLinear(x: Nd, weight: Nd, options: KakuritsuReference): Reference {
  const { takesPart, maskGradient, sampleOffset = 0 } = options
  const [batch] = x.shape
  const [inputs, cells] = weight.shape
  const out = nd([batch, cells])
  const drawn = new Uint8Array(batch * cells * inputs)
  for (let b = 0; b < batch; b++)
    for (let n = 0; n < cells; n++)
      for (let i = 0; i < inputs; i++)
        if (takesPart(sampleOffset + b, n, i)) {
          drawn[(b * cells + n) * inputs + i] = 1
          out.data[b * cells + n] += weight.data[i * cells + n] * x.data[b * inputs + i]
        }
  return {
    out,
    backward: (dOut) => {
      const [dx, dWeight] = [nd(x.shape), nd(weight.shape)]
      for (let b = 0; b < batch; b++)
        for (let n = 0; n < cells; n++)
          for (let i = 0; i < inputs; i++) {
            const taken = maskGradient === 'straight-through' || drawn[(b * cells + n) * inputs + i]
            if (!taken) continue
            dx.data[b * inputs + i] += weight.data[i * cells + n] * dOut.data[b * cells + n]
            dWeight.data[i * cells + n] += dOut.data[b * cells + n] * x.data[b * inputs + i]
          }
      return { x: dx, weight: dWeight }
    },
  }
}
