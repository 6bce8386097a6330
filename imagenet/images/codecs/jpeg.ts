/**
 * JPEG by `jpeg-js`, which is asked for the components as stored; chroma upsampling and colour conversion are done here
 * as libjpeg does them (its "fancy upsampling", and rounding where `jpeg-js` truncates), so that pixels are Pillow's up
 * to the inverse cosine transform's rounding.
 */
import { decode as decodeComponents } from 'jpeg-js'
import type { Image } from '../image.ts'
import { blameFile, checkSize, MAX_PIXELS } from './checks.ts'
import { ycbcrToRgb } from './color.ts'
import { type Component, upsample } from './upsample.ts'

interface Frame {
  readonly width: number
  readonly height: number
  readonly components: readonly (Component & { readonly id: number })[]
}

interface Header extends Frame {
  readonly isJfif: boolean
  /** The Adobe segment's colour transform; undefined without that segment. */
  readonly adobeTransform: number | undefined
  /** The file without its APPn and COM segments before the first scan. */
  readonly stripped: Uint8Array[]
}

const SOI = 0xd8
const EOI = 0xd9
const SOS = 0xda
const COM = 0xfe
const APP0 = 0xe0
const APP14 = 0xee
const APP15 = 0xef
/** Baseline, extended sequential and progressive frames, Huffman coded. */
const SUPPORTED_FRAMES = [0xc0, 0xc1, 0xc2]
/** The other frames: lossless, hierarchical, arithmetic coded (C4, C8 and CC are no frames). */
const OTHER_FRAMES = [0xc3, 0xc5, 0xc6, 0xc7, 0xc9, 0xca, 0xcb, 0xcd, 0xce, 0xcf]

/** What jpeg-js takes for a pixel of 4 components: 4-byte coefficients, their samples, all components and the result. */
const BYTES_A_PIXEL = 4 * 4 + 4 + 4 + 3
/** Options of jpeg-js: no colour conversion. Its limits stand against a second frame that `readHeader` does not see. */
const AS_STORED = {
  useTArray: true,
  formatAsRGBA: false,
  colorTransform: false,
  maxResolutionInMP: MAX_PIXELS / 1e6,
  maxMemoryUsageInMB: (MAX_PIXELS * BYTES_A_PIXEL) / 2 ** 20,
} as const

/** libjpeg-turbo's own fuzzers' limit: a scan of few bytes may go through all pixels, and encoders write some ten. */
const MAX_SCANS = 500

export const isJpeg = (bytes: Uint8Array): boolean => bytes[0] === 0xff && bytes[1] === SOI && bytes[2] === 0xff

/** Decodes a JPEG to RGB. @throws Error when it is damaged, of an unsupported kind, or claims too many pixels */
export function decodeJpeg(bytes: Uint8Array): Image {
  const header = readHeader(bytes)
  const { width, height, components } = header
  const parts = header.stripped
  // Pillow takes every JPEG of four components for inverted CMYK as Adobe writes it; jpeg-js wants to be told so.
  if (components.length === 4) parts.splice(1, 0, adobeSegment(header.adobeTransform ?? 0))
  const { data } = blameFile(() => decodeComponents(Buffer.concat(parts), AS_STORED))
  if (components.length === 3) {
    upsample(data, width, height, components)
    if (!isStoredAsRgb(header)) ycbcrToRgb(data)
  }
  return { width, height, channels: 3, data }
}

/** Reads the segments before the first scan. @throws Error as `decodeJpeg` */
export function readHeader(bytes: Uint8Array): Header {
  let frame: Frame | undefined
  let isJfif = false
  let adobeTransform: number | undefined
  const stripped = [bytes.subarray(0, 2)]
  for (let offset = 2; ; ) {
    while (bytes[offset] === 0xff && bytes[offset + 1] === 0xff) offset++ // fill bytes
    if (offset + 4 > bytes.length) throw new Error('the file ends early')
    const marker = bytes[offset + 1]
    if (bytes[offset] !== 0xff || marker === EOI) throw new Error(`no JPEG segment begins at byte ${offset}`)
    if (marker === SOS) {
      if (!frame) throw new Error('its first scan comes before its frame header')
      if (countScans(bytes, offset) > MAX_SCANS) throw new Error(`it has more than ${MAX_SCANS} scans`)
      stripped.push(bytes.subarray(offset))
      return { ...frame, isJfif, adobeTransform, stripped }
    }
    const end = offset + 2 + (bytes[offset + 2] << 8) + bytes[offset + 3]
    if (end > bytes.length) throw new Error('the file ends early')
    const body = bytes.subarray(offset + 4, end)
    if (OTHER_FRAMES.includes(marker))
      throw new Error('it is a lossless, hierarchical or arithmetic coded JPEG, which is not supported')
    if (SUPPORTED_FRAMES.includes(marker)) frame = readFrame(body, bytes.length)
    if (marker === APP0 && startsWith(body, 'JFIF\0')) isJfif = true
    if (marker === APP14 && startsWith(body, 'Adobe')) adobeTransform = body[11]
    const segment = new Uint8Array(bytes.subarray(offset, end))
    // Sampling factors mean nothing to one component alone, but jpeg-js would expect the blocks that they round up to.
    if (SUPPORTED_FRAMES.includes(marker) && frame?.components.length === 1) segment[4 + 7] = 0x11
    const isMetadata = marker === COM || (marker >= APP0 && marker <= APP15)
    if (!isMetadata) stripped.push(segment)
    offset = end
  }
}

/** Markers of scans from `offset` on, counted up to MAX_SCANS + 1. Between codes of pixels 0xff is followed by 0. */
function countScans(bytes: Uint8Array, offset: number): number {
  const file = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const marker = Buffer.of(0xff, SOS)
  let count = 0
  for (let at = offset; at !== -1 && count <= MAX_SCANS; count++) at = file.indexOf(marker, at + 2)
  return count
}

/** The body of a frame header (ITU-T T.81, B.2.2). */
function readFrame(body: Uint8Array, fileBytes: number): Frame {
  const [precision = 0, h1 = 0, h0 = 0, w1 = 0, w0 = 0, count = 0] = body
  const [width, height] = [(w1 << 8) | w0, (h1 << 8) | h0]
  if (precision !== 8) throw new Error(`it has ${precision} bits a sample, and only 8 are supported`)
  if (![1, 3, 4].includes(count) || body.length < 6 + 3 * count)
    throw new Error(`it has ${count} components, and only 1, 3 or 4 are supported`)
  // Every block of 8×8 pixels takes at least one bit, its DC coefficient's code.
  checkSize(width, height, fileBytes, (width * height) / 64 / 8)
  const components = Array.from({ length: count }, (_, i) => {
    const [id = 0, sampling = 0] = body.subarray(6 + 3 * i)
    return { id, h: sampling >> 4, v: sampling & 15 }
  })
  if (components.some(({ h, v }) => h < 1 || h > 4 || v < 1 || v > 4))
    throw new Error('its sampling factors are not within 1 to 4')
  return { width, height, components }
}

/** Whether three components are R, G, B, by the rules of libjpeg (`default_decompress_parms`), else Y, Cb, Cr. */
function isStoredAsRgb({ isJfif, adobeTransform, components }: Header): boolean {
  if (isJfif) return false
  if (adobeTransform !== undefined) return adobeTransform === 0
  return String.fromCharCode(...components.map(({ id }) => id)) === 'RGB'
}

/** An APP14 segment as Adobe's Technical Note 5116 has it: version 100, no flags, the transform. */
function adobeSegment(transform: number): Uint8Array {
  return Buffer.from([0xff, APP14, 0, 14, ...Buffer.from('Adobe'), 0, 100, 0, 0, 0, 0, transform])
}

const startsWith = (bytes: Uint8Array, text: string): boolean =>
  [...text].every((char, i) => bytes[i] === char.charCodeAt(0))
