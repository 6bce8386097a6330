/** PNG by `pngjs`, with the conversions that Pillow makes and `pngjs` does not. */
import { PNG } from 'pngjs'
import type { Image } from '../image.ts'
import { blameFile, checkSize } from './checks.ts'

const SIGNATURE = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]
/** Samples a pixel by PNG colour type: gray, RGB, palette, gray and alpha, RGBA. */
const SAMPLES: Record<number, number> = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 }
/** Deflate's best: 258 bytes from two bits. */
const MAX_DEFLATE_RATIO = 1032

export const isPng = (bytes: Uint8Array): boolean => SIGNATURE.every((byte, i) => bytes[i] === byte)

/** Decodes a PNG to RGB. @throws Error when it is damaged or claims too many pixels */
export function decodePng(bytes: Uint8Array): Image {
  const { width, height, depth, colorType, critical } = readChunks(bytes)
  const deep = depth === 16
  // With skipRescale, 16-bit samples come as they are, in a Uint16Array that the package's types do not know of.
  const png = blameFile(() => PNG.sync.read(critical, { skipRescale: deep }))
  const rgba = png.data as Uint8Array | Uint16Array
  // Pillow keeps the upper byte of 16-bit colour, but reads 16-bit gray as integers and clips those to 255.
  const to8 = !deep ? (v: number) => v : colorType === 0 ? (v: number) => Math.min(v, 255) : (v: number) => v >> 8
  const data = new Uint8Array(width * height * 3)
  for (let i = 0, o = 0; o < data.length; i += 4) {
    data[o++] = to8(rgba[i])
    data[o++] = to8(rgba[i + 1])
    data[o++] = to8(rgba[i + 2])
  }
  return { width, height, channels: 3, data }
}

/**
 * The header's fields, and the file with its critical chunks (PNG specification, 5.4) only. The others are left out
 * because `pngjs` blackens pixels of a tRNS chunk's colour, which `convert('RGB')` leaves as they are.
 */
function readChunks(bytes: Uint8Array) {
  const file = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const parts = [file.subarray(0, SIGNATURE.length)]
  for (let offset = SIGNATURE.length, type = ''; type !== 'IEND'; ) {
    if (offset + 12 > file.length) throw new Error('the file ends early')
    const end = offset + 12 + file.readUInt32BE(offset)
    if (end > file.length) throw new Error('the file ends early')
    type = file.toString('latin1', offset + 4, offset + 8)
    const isCritical = (file[offset + 4] & 0x20) === 0
    if (isCritical) parts.push(file.subarray(offset, end))
    offset = end
  }
  const header = parts[1]
  if (header.toString('latin1', 4, 8) !== 'IHDR' || header.length !== 12 + 13) throw new Error('it has no PNG header')
  const [width, height] = [header.readUInt32BE(8), header.readUInt32BE(12)]
  const [depth, colorType] = [header[16], header[17]]
  const rowBytes = Math.ceil((width * depth * (SAMPLES[colorType] ?? 1)) / 8)
  checkSize(width, height, bytes.length, (rowBytes * height) / MAX_DEFLATE_RATIO)
  return { width, height, depth, colorType, critical: Buffer.concat(parts) }
}
