/** What JPEG stores to RGB: YCbCr (JFIF 1.02: ITU-R BT.601 over the full range of a byte) as libjpeg does it, and CMYK. */

const BITS = 16
const HALF = 1 << (BITS - 1)
const fixed = (x: number): number => Math.round(x * (1 << BITS))

/** What a chroma byte adds to a colour; those to green keep their fraction, because two of them are summed. */
const table = (entry: (chroma: number) => number): Int32Array =>
  Int32Array.from({ length: 256 }, (_, i) => entry(i - 128))
const CR_TO_R = table((cr) => (fixed(1.402) * cr + HALF) >> BITS)
const CB_TO_B = table((cb) => (fixed(1.772) * cb + HALF) >> BITS)
const CR_TO_G = table((cr) => -fixed(0.71414) * cr)
const CB_TO_G = table((cb) => -fixed(0.34414) * cb + HALF)

/** Converts in place. @param data u8 [pixels, 3] */
export function ycbcrToRgb(data: Uint8Array): void {
  const clamped = new Uint8ClampedArray(data.buffer, data.byteOffset, data.length)
  for (let i = 0; i < data.length; i += 3) {
    const y = data[i]
    const cb = data[i + 1]
    const cr = data[i + 2]
    clamped[i] = y + CR_TO_R[cr]
    clamped[i + 1] = y + ((CB_TO_G[cb] + CR_TO_G[cr]) >> BITS)
    clamped[i + 2] = y + CB_TO_B[cb]
  }
}

/**
 * CMYK to RGB as Pillow converts it (its libImaging/Convert.c, cmyk2rgb): what ink lets through of what black does.
 *
 * @param data u8 [pixels, 4], 255 being all ink
 * @returns u8 [pixels, 3]
 */
export function cmykToRgb(data: Uint8Array): Uint8Array {
  const rgb = new Uint8Array((data.length / 4) * 3)
  for (let i = 0, o = 0; i < data.length; i += 4) {
    const white = 255 - data[i + 3]
    for (let ink = i; ink < i + 3; ink++) {
      // ink · white / 255, rounded, without a division.
      const product = data[ink] * white + 128
      rgb[o++] = white - (((product >> 8) + product) >> 8)
    }
  }
  return rgb
}
