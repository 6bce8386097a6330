/**
 * JPEG by `sharp`, an optional package with libjpeg-turbo in it (as mozjpeg), whose pixels are Pillow's own: the same
 * inverse cosine transform, chroma upsampling and colour conversion. What it would do beyond that is turned off: ICC
 * profiles, EXIF orientation (not applied unless asked for), and its own way from CMYK to RGB.
 */
import { createRequire } from 'node:module'
import type sharp from 'sharp'
import type { Image } from '../image.ts'
import { toRgb } from '../image.ts'
import { blameFile, MAX_PIXELS } from './checks.ts'
import { cmykToRgb } from './color.ts'
import { readHeader } from './jpeg.ts'

type Sharp = typeof sharp

let loaded: Sharp | undefined

/** The package. @throws Error when it is not installed, or its native part does not load on this machine */
export function loadSharp(): Sharp {
  if (!loaded) {
    loaded = createRequire(import.meta.url)('sharp') as Sharp
    // A worker decodes one image at a time; threads within an image and a cache of results would only get in the way.
    loaded.concurrency(1)
    loaded.cache(false)
  }
  return loaded
}

/** Decodes a JPEG to RGB. @throws Error when it is damaged, of an unsupported kind, or claims too many pixels */
export async function decodeJpegBySharp(bytes: Uint8Array): Promise<Image> {
  const { components } = readHeader(bytes)
  // Pillow passes over what libjpeg only warns of, and refuses what ends early.
  const options = { ignoreIcc: true, failOn: 'error', limitInputPixels: MAX_PIXELS } as const
  const pipeline = loadSharp()(bytes, options)
  // Told that CMYK is wanted, it hands over what libjpeg gives.
  if (components.length === 4) pipeline.pipelineColourspace('cmyk').toColourspace('cmyk')
  const { data, info } = await blameFile(() => pipeline.raw().toBuffer({ resolveWithObject: true }))
  const { width, height, channels } = info
  if (channels === 4) return { width, height, channels: 3, data: cmykToRgb(data) }
  if (channels === 1 || channels === 3) return toRgb({ width, height, channels, data })
  throw new Error(`sharp gives ${channels} channels, where 1, 3 or 4 were expected`)
}
