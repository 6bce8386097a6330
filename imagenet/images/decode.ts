/**
 * From a file's bytes to RGB pixels, as Pillow's `Image.open(file).convert('RGB')` has them: alpha is dropped, gray is
 * replicated, EXIF orientation is ignored. The format is told by the content: ImageNet holds a PNG named .JPEG.
 */
import { readFileSync } from 'node:fs'
import { DecodeError, UnreadableError } from '../errors.ts'
import { decodeJpeg, isJpeg } from './codecs/jpeg.ts'
import { decodePng, isPng } from './codecs/png.ts'
import { decodeJpegBySharp } from './codecs/sharp.ts'
import type { DecoderName } from './decoder.ts'
import type { Image } from './image.ts'

/**
 * Decodes a JPEG or PNG by the portable decoders.
 *
 * @param file names the image in errors; nothing is read from it
 * @throws DecodeError when the bytes are no JPEG or PNG, are damaged, or claim more pixels than `MAX_PIXELS`
 */
export function decode(bytes: Uint8Array, file: string): Image {
  try {
    return isJpeg(bytes) ? decodeJpeg(bytes) : decodeOther(bytes)
  } catch (error) {
    throw blamed(file, error)
  }
}

/** Reads a file and decodes it by the portable decoders. @throws UnreadableError when the file cannot be read */
export const decodeFile = (path: string): Image => decode(read(path), path)

/** Reads a file and decodes it, a JPEG by the decoder named. @throws DecodeError as `decodeFile` */
export async function decodeFileBy(decoder: DecoderName, path: string): Promise<Image> {
  const bytes = read(path)
  if (decoder !== 'sharp' || !isJpeg(bytes)) return decode(bytes, path)
  try {
    return await decodeJpegBySharp(bytes)
  } catch (error) {
    throw blamed(path, error)
  }
}

function decodeOther(bytes: Uint8Array): Image {
  if (bytes.length === 0) throw new Error('the file is empty')
  if (isPng(bytes)) return decodePng(bytes)
  const start = [...bytes.subarray(0, 4)].map((byte) => byte.toString(16).padStart(2, '0')).join(' ')
  throw new Error(`it is neither JPEG nor PNG (it begins with the bytes ${start})`)
}

function read(path: string): Uint8Array {
  try {
    return readFileSync(path)
  } catch (error) {
    throw new UnreadableError(path, `it cannot be read (${(error as NodeJS.ErrnoException).code})`)
  }
}

const blamed = (file: string, error: unknown): DecodeError =>
  new DecodeError(file, error instanceof Error ? error.message : String(error))
