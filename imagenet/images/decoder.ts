/** Which package decodes JPEG files. PNG files are `pngjs`'s whatever is chosen. */

import { UsageError } from '../errors.ts'
import { loadSharp } from './codecs/sharp.ts'

/**
 * - `sharp`: libjpeg-turbo, as fast as Pillow and with its pixels; an optional dependency
 * - `jpeg-js`: JavaScript, runs everywhere; colours are up to 3 levels off
 */
export const DECODERS = ['sharp', 'jpeg-js'] as const
export type DecoderName = (typeof DECODERS)[number]

/**
 * The decoder meant by an option: `auto` is sharp where it loads.
 * @throws UsageError when sharp is asked for and does not load
 */
export function chooseDecoder(choice: DecoderName | 'auto'): DecoderName {
  if (choice === 'jpeg-js') return choice
  try {
    loadSharp()
    return 'sharp'
  } catch (error) {
    if (choice === 'auto') return 'jpeg-js'
    const [reason] = (error as Error).message.split('\n')
    throw new UsageError(`sharp does not load (${reason}): npm install sharp, or give --decoder jpeg-js`)
  }
}

/** Threads of Node's pool (libuv's default), which is where sharp decodes whatever thread asks it to. */
const POOL_THREADS = 4

/** One line for the user: `Images: decoded by sharp 0.35.5 in 4 threads`. */
export function decoderLine(decoder: DecoderName, workers: number): string {
  const threads = workers === 0 ? 'the main thread' : `${workers} thread${workers === 1 ? '' : 's'}`
  if (decoder === 'jpeg-js') return `Images: decoded by jpeg-js in ${threads}`
  const pool = Number(process.env.UV_THREADPOOL_SIZE ?? POOL_THREADS)
  const hint = workers > pool ? `; set UV_THREADPOOL_SIZE=${workers}, or ${pool} decode at a time` : ''
  return `Images: decoded by sharp ${loadSharp().versions.sharp} in ${threads}${hint}`
}
