/** Half precision (IEEE 754 binary16) on the CPU, for machines whose JavaScript has no Float16Array. */

const bits = new Uint32Array(1)
const number = new Float32Array(bits.buffer)

/** The nearest half to each number, of two equally near the even one; beyond 65504 infinity. */
export function toHalf(values: Float32Array): Uint16Array<ArrayBuffer> {
  const halves = new Uint16Array(values.length)
  for (let i = 0; i < values.length; i++) halves[i] = halfOf(values[i])
  return halves
}

/** The numbers that halves stand for, each exactly. */
export function fromHalf(halves: Uint16Array): Float32Array<ArrayBuffer> {
  const values = new Float32Array(halves.length)
  for (let i = 0; i < halves.length; i++) {
    const half = halves[i]
    const exponent = (half >> 10) & 31
    const fraction = half & 1023
    const magnitude =
      exponent === 31
        ? fraction
          ? NaN
          : Infinity
        : exponent
          ? (1 + fraction / 1024) * 2 ** (exponent - 15)
          : fraction * 2 ** -24
    values[i] = half & 0x8000 ? -magnitude : magnitude
  }
  return values
}

function halfOf(value: number): number {
  number[0] = value
  const sign = (bits[0] >>> 16) & 0x8000
  const magnitude = bits[0] & 0x7fffffff
  if (magnitude > 0x7f800000) return sign | 0x7e00 // NaN
  if (magnitude >= 0x47800000) return sign | 0x7c00 // 65536 and more
  // Below 2^-14 halves are multiples of 2^-24: adding 1/2, whose last bit that is in a float, rounds to them.
  if (magnitude < 0x38800000) {
    number[0] = Math.abs(value) + 0.5
    return sign | (bits[0] - 0x3f000000)
  }
  // Rounding may carry into the exponent, as it should.
  const odd = (magnitude >>> 13) & 1
  return sign | ((magnitude - (112 << 23) + 0xfff + odd) >>> 13)
}
