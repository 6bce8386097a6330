/**
 * From a file's bytes to RGB pixels, as Pillow's `Image.open(file).convert('RGB')` has them: alpha is dropped, gray is
 * replicated, EXIF orientation is ignored. The format is told by the content: ImageNet holds a PNG named .JPEG.
 */
import { readFileSync } from 'node:fs'
import { decodeJpeg, isJpeg } from './codecs/jpeg.ts'
import { decodePng, isPng } from './codecs/png.ts'
import { DecodeError } from './errors.ts'
import type { Image } from './image.ts'

/**
 * Decodes a JPEG or PNG.
 *
 * @param file names the image in errors; nothing is read from it
 * @throws DecodeError when the bytes are no JPEG or PNG, are damaged, or claim more pixels than `MAX_PIXELS`
 */
export function decode(bytes: Uint8Array, file: string): Image {
  try {
    if (bytes.length === 0) throw new Error('the file is empty')
    if (isJpeg(bytes)) return decodeJpeg(bytes)
    if (isPng(bytes)) return decodePng(bytes)
    const start = [...bytes.subarray(0, 4)].map((byte) => byte.toString(16).padStart(2, '0')).join(' ')
    throw new Error(`it is neither JPEG nor PNG (it begins with the bytes ${start})`)
  } catch (error) {
    throw new DecodeError(file, error instanceof Error ? error.message : String(error))
  }
}

/** Reads and decodes a file. @throws DecodeError also when the file cannot be read */
export function decodeFile(path: string): Image {
  let bytes: Uint8Array
  try {
    bytes = readFileSync(path)
  } catch (error) {
    throw new DecodeError(path, `it cannot be read (${(error as NodeJS.ErrnoException).code})`)
  }
  return decode(bytes, path)
}
