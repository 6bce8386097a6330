import { type Key, keyWords, Purpose, threefry4x32, type Words } from '../../engine/random.ts'
import { type Nd, nd, type Reference } from './nd.ts'

/** One bit of the mask: whether a synapse takes part. */
export type TakesPart = (sample: number, cell: number, input: number) => boolean

/** The mask of a layer in a step, as engine/shaders/kakuritsu_mask.wgsl describes it. p in [0, 1]. */
export function mask(key: Key, p: number): TakesPart {
  if (p === 0 || p === 1) return () => p === 1
  const words = keyWords(key)
  const digits = Math.round(p * 2 ** 32)
  return (sample, cell, input) => {
    const block = [Math.floor(input / 2), Math.floor(cell / 4), Math.floor(sample / 16)] as const
    const state = threefry4x32([...block, Purpose.synapse * 2 ** 24], words)
    const bit = 2 * (sample % 16) + (input % 2)
    for (let i = 0; i < 10; i++) {
      const drawn = i === 0 ? state : fork(state, i, NONE)
      const digit = (digits >>> (31 - i)) & 1
      if (((drawn[cell % 4] >>> bit) & 1) === digit) return digit === 1
    }
    const own = NONE.map((_, word) => (word === cell % 4 ? 2 ** bit : 0))
    return fork(state, 10, own)[0] < (digits << 10) >>> 0
  }
}

const NONE = [0, 0, 0, 0]

/** Left rotations of Threefry4x32's rounds 13 to 18. */
const ROTATIONS = [
  [17, 11],
  [25, 10],
  [18, 20],
  [10, 26],
  [11, 21],
  [13, 27],
]

/** Rounds 13 to 18 from the words after round 12, each changed by a multiple of its constant and `synapse`'s word. */
function fork(words: Words, times: number, synapse: readonly number[]): Words {
  const constants = [0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a]
  const x = Uint32Array.from(constants, (c, i) => (words[i] + Math.imul(times, c)) ^ synapse[i])
  const mix = (a: number, b: number, left: number) => {
    x[a] += x[b]
    x[b] = ((x[b] << left) | (x[b] >>> (32 - left))) ^ x[a]
  }
  ROTATIONS.forEach(([r0, r1], i) => {
    const odd = (13 + i) % 2 === 1
    mix(0, odd ? 3 : 1, r0)
    mix(2, odd ? 1 : 3, r1)
  })
  return [x[0], x[1], x[2], x[3]]
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
