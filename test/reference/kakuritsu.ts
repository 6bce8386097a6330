import { type Key, keyWords, Purpose, threefry4x32, type Words } from '../../engine/random.ts'
import { type Nd, nd, type Reference } from './nd.ts'

/** One bit of the mask: whether a synapse takes part. */
export type TakesPart = (sample: number, cell: number, input: number) => boolean

/** The mask of a layer in a step, as engine/shaders/kakuritsu_mask.wgsl describes it. p in [0, 1]. */
export function mask(key: Key, p: number): TakesPart {
  if (p === 0 || p === 1) return () => p === 1
  const words = keyWords(key)
  const threshold = Math.round(p * 2 ** 32)
  return (sample, cell, input) => {
    const block = [Math.floor(input / 4), Math.floor(cell / 4), Math.floor(sample / 16)] as const
    const first = threefry4x32([...block, Purpose.synapse * 2 ** 24], words)
    const state = input % 4 < 2 ? first : fork(first, 64)
    const [component, bit] = [cell % 4, 2 * (sample % 16) + (input % 2)]
    const { differs, place } = digits(state, component, bit)
    if (differs) return ((threshold >>> (32 - place)) & 1) === 1
    // A tie. Its word is that of the round that it comes to be the component's lowest tie in.
    let before = 0
    for (let lower = 0; lower < bit; lower++) if (!digits(state, component, lower).differs) before++
    return fork(state, 6 + before)[component] < (threshold << place) >>> 0
  }
}

/** The first place at which a synapse's U differs from p, or, where none that is drawn bit by bit does, the last of those. */
function digits(state: Words, component: number, bit: number): { differs: boolean; place: number } {
  for (let place = 1; place <= 10; place++) {
    if (place === 5 && component >= 2 && isTied(state, component - 2, bit, 4)) return { differs: false, place: 4 }
    if (place === 7 && component % 2 === 1 && [0, 2].some((other) => isTied(state, other, bit, 6)))
      return { differs: false, place: 6 }
    if (drawnAt(state, component, bit, place)) return { differs: true, place }
  }
  return { differs: false, place: 10 }
}

function isTied(state: Words, component: number, bit: number, places: number): boolean {
  for (let place = 1; place <= places; place++) if (drawnAt(state, component, bit, place)) return false
  return true
}

/** The bit that says whether the digits of U and p at a place differ. */
function drawnAt(state: Words, component: number, bit: number, place: number): boolean {
  if (place === 1) return bitOf(state[component], bit)
  if (place <= 4) return bitOf(fork(state, place - 1)[component], bit)
  if (place <= 6) return bitOf(fork(state, 4)[2 * (place - 5) + (component % 2)], bit)
  return bitOf(fork(state, 5)[place - 7], bit)
}

const bitOf = (word: number, bit: number): boolean => ((word >>> bit) & 1) === 1

/** Left rotations of Threefry4x32's rounds 13 to 18. */
const ROTATIONS = [
  [17, 11],
  [25, 10],
  [18, 20],
  [10, 26],
  [11, 21],
  [13, 27],
]

/** Six more rounds from the words of a state, two of which are changed by multiples of constants. */
function fork(words: Words, times: number): Words {
  const constants = [0x6a09e667, 0, 0x3c6ef372, 0]
  const x = Uint32Array.from(constants, (c, i) => words[i] + Math.imul(times, c))
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
