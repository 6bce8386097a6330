/**
 * Counter-based random numbers: Threefry4x32 of Salmon, Moraes, Dror and Shaw, "Parallel Random Numbers: As Easy as
 * 1, 2, 3" (SC 2011). 128 random bits are a pure function of a 128-bit key and a 128-bit counter, so whoever knows
 * what a number is for can draw it, on any adapter, in any order, as often as wanted. `shaders/random.wgsl` is the same
 * function on the GPU.
 *
 * 13 rounds: one more than the fewest (12) that passed every battery of TestU01's BigCrush in that paper (table 2), and
 * a count that the authors publish known answers for. It needs only add, rotate and xor, where Philox needs the upper
 * half of a 32-bit product, which WGSL does not have.
 *
 * How keys and counters are used, so that no two purposes ever share one:
 *   key      [seed low, seed high, layer, step] for what a layer draws in a step (`keyWords`),
 *            [seed low, seed high, epoch, index] for what is drawn for an image (`imageStream`),
 *            a hash of seed and name for what a named parameter starts from (`nameStream`)
 *   counter  three words that place the draw, and a fourth whose top byte is its `Purpose`
 */

/** 128 bits, as four unsigned 32-bit words. */
export type Words = readonly [number, number, number, number]

/** What random masks of a layer depend on, beside the sample and the synapse (or feature). */
export interface Key {
  /** A whole number in [0, 2^53): the run. */
  readonly seed: number
  /** A whole number in [0, 2^32): which layer of the model. */
  readonly layer: number
  /** A whole number in [0, 2^32): which forward pass of the run. */
  readonly step: number
}

/** The top byte of a counter's fourth word: what the draw is for. The shaders that draw masks hold the same numbers. */
export const Purpose = { synapse: 1, dropout: 2, parameter: 3, order: 4, image: 5 } as const
export type Purpose = (typeof Purpose)[keyof typeof Purpose]

export const THREEFRY_ROUNDS = 13

/** Left rotations of round r (modulo 8), for its two halves: R_32x4 of Random123's threefry.h. */
const ROTATIONS_A = [10, 11, 13, 23, 6, 17, 25, 18]
const ROTATIONS_B = [26, 21, 27, 5, 20, 11, 10, 20]

/** Skein's key schedule parity for 32-bit words (SKEIN_KS_PARITY32). */
const PARITY = 0x1bd11bda

const rotate = (word: number, bits: number): number => (word << bits) | (word >>> (32 - bits))

/** Writes Threefry4x32 of `counter` under `key` to out[at .. at + 3]. */
export function threefry(out: Uint32Array, at: number, counter: Words, key: Words, rounds = THREEFRY_ROUNDS): void {
  let [k0, k1, k2, k3] = key
  let k4 = PARITY ^ k0 ^ k1 ^ k2 ^ k3
  let x0 = (counter[0] + k0) | 0
  let x1 = (counter[1] + k1) | 0
  let x2 = (counter[2] + k2) | 0
  let x3 = (counter[3] + k3) | 0
  for (let round = 0; round < rounds; round++) {
    // Even rounds mix (x0, x1) and (x2, x3), odd ones (x0, x3) and (x2, x1): x1 and x3 change places after every round.
    x0 = (x0 + x1) | 0
    x2 = (x2 + x3) | 0
    const mixed = rotate(x1, ROTATIONS_A[round & 7]) ^ x0
    x1 = rotate(x3, ROTATIONS_B[round & 7]) ^ x2
    x3 = mixed
    if ((round & 3) === 3) {
      // The next subkey: the key's words and their parity, moved on by one.
      const first = k0
      k0 = k1
      k1 = k2
      k2 = k3
      k3 = k4
      k4 = first
      x0 = (x0 + k0) | 0
      x1 = (x1 + k1) | 0
      x2 = (x2 + k2) | 0
      x3 = (x3 + k3 + ((round + 1) >> 2)) | 0
    }
  }
  out[at] = x0
  out[at + 1] = rounds & 1 ? x3 : x1
  out[at + 2] = x2
  out[at + 3] = rounds & 1 ? x1 : x3
}

/** Threefry4x32 of one counter. */
export function threefry4x32(counter: Words, key: Words, rounds = THREEFRY_ROUNDS): Words {
  const out = new Uint32Array(4)
  threefry(out, 0, counter, key, rounds)
  return [out[0], out[1], out[2], out[3]]
}

/** The 128-bit key of what a layer draws in a step. @throws RangeError when a part is outside its range. */
export const keyWords = ({ seed, layer, step }: Key): Words => [
  ...seedWords(seed),
  word('layer', layer),
  word('step', step),
]

/**
 * A probability in units of 1 / resolution: the nearest number of them, but never none or all, which callers treat apart.
 * @throws RangeError when p is outside [0, 1].
 */
export function probabilityBits(op: string, p: number, resolution: number): number {
  if (!(p >= 0 && p <= 1)) throw new RangeError(`${op}: p is a probability in [0, 1], given ${p}`)
  return Math.min(Math.max(Math.round(p * resolution), 1), resolution - 1)
}

/** An endless sequence of random numbers. */
export class Stream {
  readonly #key: Words
  readonly #purpose: number
  readonly #block = new Uint32Array(4)
  #blocks = 0
  #used = 4
  #spare: number | null = null

  constructor(key: Words, purpose: Purpose) {
    this.#key = key
    this.#purpose = purpose * 2 ** 24
  }

  /** 32 random bits. */
  next(): number {
    if (this.#used === 4) {
      const counter: Words = [this.#blocks | 0, Math.floor(this.#blocks / 2 ** 32), 0, this.#purpose]
      threefry(this.#block, 0, counter, this.#key)
      this.#blocks++
      this.#used = 0
    }
    return this.#block[this.#used++]
  }

  /** A multiple of 2^-32 of the way from low to high, low included and high not. */
  uniform(low = 0, high = 1): number {
    return low + (high - low) * (this.next() / 2 ** 32)
  }

  /** A whole number in [0, count), each equally likely; count ≤ 2^32. */
  below(count: number): number {
    // Words at or past the last whole multiple of count would favour the small numbers.
    const limit = 2 ** 32 - (2 ** 32 % count)
    let drawn = this.next()
    while (drawn >= limit) drawn = this.next()
    return drawn % count
  }

  /** A normal deviate of mean 0 and variance 1. Box and Muller (1958) make two at a time; the second one waits. */
  normal(): number {
    if (this.#spare !== null) {
      const spare = this.#spare
      this.#spare = null
      return spare
    }
    const radius = Math.sqrt(-2 * Math.log((this.next() + 1) / 2 ** 32))
    const angle = this.uniform(0, 2 * Math.PI)
    this.#spare = radius * Math.sin(angle)
    return radius * Math.cos(angle)
  }
}

/** What the parameter called `name` starts from: the same whatever else the model holds. */
export function nameStream(seed: number, name: string): Stream {
  // Each 16 bytes of the name become the counter under the key so far (Miyaguchi and Preneel's way to a hash).
  const bytes = new TextEncoder().encode(name)
  let key: Words = [...seedWords(seed), bytes.length, 0]
  for (let at = 0; at < bytes.length; at += 16) {
    const chunk = new Uint8Array(16)
    chunk.set(bytes.subarray(at, at + 16))
    const view = new DataView(chunk.buffer)
    const block: Words = [view.getUint32(0), view.getUint32(4), view.getUint32(8), view.getUint32(12)]
    const mixed = threefry4x32(block, key)
    const at4 = (i: number) => (mixed[i] ^ block[i] ^ key[i]) >>> 0
    key = [at4(0), at4(1), at4(2), at4(3)]
  }
  return new Stream(key, Purpose.parameter)
}

/** What is drawn for image `index` in `epoch`: its crop, its flip. The same whatever order images are loaded in. */
export const imageStream = (seed: number, epoch: number, index: number): Stream =>
  new Stream([...seedWords(seed), word('epoch', epoch), word('index', index)], Purpose.image)

/** The numbers 0 .. count − 1 in the order of `epoch` (Fisher and Yates' shuffle, each order equally likely). */
export function shuffled(count: number, seed: number, epoch: number): Uint32Array {
  const stream = new Stream([...seedWords(seed), word('epoch', epoch), 0], Purpose.order)
  const order = Uint32Array.from({ length: count }, (_, i) => i)
  for (let i = count - 1; i > 0; i--) {
    const j = stream.below(i + 1)
    const other = order[j]
    order[j] = order[i]
    order[i] = other
  }
  return order
}

function seedWords(seed: number): [low: number, high: number] {
  if (!Number.isSafeInteger(seed) || seed < 0)
    throw new RangeError(`seed is a whole number from 0 to 2^53 - 1, given ${seed}`)
  return [seed % 2 ** 32, Math.floor(seed / 2 ** 32)]
}

function word(name: string, value: number): number {
  if (!(Number.isInteger(value) && value >= 0 && value < 2 ** 32))
    throw new RangeError(`${name} is a whole number from 0 to 2^32 - 1, given ${value}`)
  return value
}
