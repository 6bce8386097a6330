/** The element types of tensors in files, under safetensors' names, and how their bytes become numbers. */

/**
 * Bits of an element, and the array that holds elements as they are stored. Floats narrower than 32 bits are decoded to
 * a Float32Array where JavaScript has no array of them; what has less than a byte (F4, F6) stays packed.
 * The names are those of the safetensors crate, 0.7.
 */
const DTYPES = {
  F64: { bits: 64, array: Float64Array },
  F32: { bits: 32, array: Float32Array },
  F16: { bits: 16, array: Uint16Array },
  BF16: { bits: 16, array: Uint16Array },
  F8_E5M2: { bits: 8, array: Uint8Array },
  F8_E4M3: { bits: 8, array: Uint8Array },
  F8_E8M0: { bits: 8, array: Uint8Array },
  F6_E2M3: { bits: 6, array: Uint8Array },
  F6_E3M2: { bits: 6, array: Uint8Array },
  F4: { bits: 4, array: Uint8Array },
  /** Real and imaginary part by turns. */
  C64: { bits: 64, array: Float32Array },
  I64: { bits: 64, array: BigInt64Array },
  U64: { bits: 64, array: BigUint64Array },
  I32: { bits: 32, array: Int32Array },
  U32: { bits: 32, array: Uint32Array },
  I16: { bits: 16, array: Int16Array },
  U16: { bits: 16, array: Uint16Array },
  I8: { bits: 8, array: Int8Array },
  U8: { bits: 8, array: Uint8Array },
  BOOL: { bits: 8, array: Uint8Array },
} as const

export type Dtype = keyof typeof DTYPES
export type TensorData = InstanceType<(typeof DTYPES)[Dtype]['array']>

export const dtypeNames = Object.keys(DTYPES) as Dtype[]

export const isDtype = (name: unknown): name is Dtype => typeof name === 'string' && Object.hasOwn(DTYPES, name)

export const bitsOf = (dtype: Dtype): number => DTYPES[dtype].bits

/** Product of the extents. One past 2^53 may be rounded, but stays far above any length that a file can have. */
export const countOf = (shape: readonly number[]): number => shape.reduce((product, extent) => product * extent, 1)

/** May have a fraction, for elements of 4 or 6 bits: then no tensor has this shape. */
export const byteLengthOf = (dtype: Dtype, shape: readonly number[]): number => (countOf(shape) * bitsOf(dtype)) / 8

/**
 * Elements from their bytes, little-endian as JavaScript's own arrays are wherever it runs. A view of `bytes` where
 * their alignment and type allow it.
 */
export function decodeElements(dtype: Dtype, bytes: Uint8Array): TensorData {
  const { array: ArrayType } = DTYPES[dtype]
  // Not bytes.slice(): Node's Buffer overrides it with a view.
  const { buffer, byteOffset } = bytes.byteOffset % ArrayType.BYTES_PER_ELEMENT === 0 ? bytes : new Uint8Array(bytes)
  const raw = new ArrayType(buffer as ArrayBuffer, byteOffset, bytes.byteLength / ArrayType.BYTES_PER_ELEMENT)
  switch (dtype) {
    case 'F16':
      return Float32Array.from(raw as Uint16Array, (bits) => toFloat(bits, 5, 10))
    case 'BF16':
      return new Float32Array(Uint32Array.from(raw as Uint16Array, (bits) => bits << 16).buffer)
    case 'F8_E5M2':
      return Float32Array.from(raw as Uint8Array, (bits) => toFloat(bits, 5, 2))
    case 'F8_E4M3':
      return Float32Array.from(raw as Uint8Array, e4m3ToFloat)
    case 'F8_E8M0':
      // A power of two and no sign (OCP Microscaling Formats 1.0, section 5.4.1).
      return Float32Array.from(raw as Uint8Array, (bits) => (bits === 0xff ? NaN : 2 ** (bits - 127)))
    default:
      return raw
  }
}

/** Whether `data` is how elements of `dtype` are held: as `decodeElements` gives them. */
export function holds(dtype: Dtype, data: TensorData): boolean {
  const narrow = dtype === 'F16' || dtype === 'BF16' || dtype.startsWith('F8')
  return data instanceof (narrow ? Float32Array : DTYPES[dtype].array)
}

/** A float as IEEE 754 lays them out: a sign, exponent bits biased by 2^(e-1) - 1, fraction bits; binary16 is (5, 10). */
function toFloat(bits: number, exponentBits: number, fractionBits: number): number {
  const sign = (bits >> (exponentBits + fractionBits)) & 1 ? -1 : 1
  const highest = 2 ** exponentBits - 1
  const bias = 2 ** (exponentBits - 1) - 1
  const exponent = (bits >> fractionBits) & highest
  const fraction = (bits & (2 ** fractionBits - 1)) / 2 ** fractionBits
  if (exponent === 0) return sign * fraction * 2 ** (1 - bias)
  if (exponent === highest) return fraction === 0 ? sign * Infinity : NaN
  return sign * (1 + fraction) * 2 ** (exponent - bias)
}

/** E4M3 has no infinities: its highest exponent holds numbers too, all but NaN (Micikevicius et al. 2022, table 1). */
function e4m3ToFloat(bits: number): number {
  const exponent = (bits >> 3) & 0xf
  if (exponent < 0xf) return toFloat(bits, 4, 3)
  if ((bits & 7) === 7) return NaN
  return (bits & 0x80 ? -1 : 1) * (1 + (bits & 7) / 8) * 2 ** 8
}
