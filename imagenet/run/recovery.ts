/** What a run does when the GPU fails. */
import { setTimeout as sleep } from 'node:timers/promises'
import { DeviceLostError, GpuError, OutOfMemoryError } from '../../engine/index.ts'
import { isFrozen, type SettledOptions } from './options.ts'

/** Times that the device may be lost with no checkpoint written in between. */
const MOST_LOSSES = 3

/** Milliseconds before the first new attempt; a driver that was reset is not there at once. */
const PAUSE = 500

export interface RecoveryOptions {
  /** The checkpoint that the first attempt goes on from; null: none is there yet. */
  from?: string | null
  /** Tells people of a loss. */
  say?: (line: string) => void
}

/**
 * Makes attempts until one ends by itself: after the GPU device was lost the next one goes on from the last checkpoint.
 * @param attempt a run, from a checkpoint, or null from its start; calls `saved` with each checkpoint it writes
 * @throws GpuError when the device was lost too often with nothing gained in between, with all that was tried
 */
export async function recovering<T>(
  attempt: (from: string | null, saved: (file: string) => void) => Promise<T>,
  { from = null, say = console.error }: RecoveryOptions = {},
): Promise<T> {
  const losses: string[] = []
  for (;;)
    try {
      return await attempt(from, (file) => {
        from = file
        losses.length = 0
      })
    } catch (error) {
      if (!isLoss(error, losses)) throw error
      losses.push(error.message)
      const where = from ?? 'the start: there is no checkpoint yet'
      if (losses.length > MOST_LOSSES)
        throw new GpuError(
          `given up after ${losses.length} losses without progress from ${where}: ${losses.join('; ')}`,
        )
      say(`${error.message}; going on, on a new one, from ${where}`)
      await sleep(PAUSE * losses.length)
    }
}

/** The device was lost, or a new one fails after that; more memory than there is would be lacking again. */
const isLoss = (error: unknown, losses: readonly string[]): error is GpuError =>
  error instanceof DeviceLostError ||
  (losses.length > 0 && error instanceof GpuError && !(error.cause instanceof OutOfMemoryError))

/** An error of a run as its user can act on it: memory that is lacking, with the options that need less. */
export function explained(error: unknown, options: SettledOptions): unknown {
  if (!(error instanceof OutOfMemoryError)) return error
  const { batchSize, microBatch = batchSize, precision, imageSize } = options
  const ways = [
    batchSize > 1 && `--batch-size (now ${batchSize})`,
    microBatch > 1 && `--micro-batch (now ${microBatch})`,
    `--image-size (now ${imageSize})`,
  ].filter(Boolean)
  const half = isFrozen(options) && precision === 'f32' ? ', or give --precision f16' : ''
  return new GpuError(`${error.reason} for ${error.what}: lower ${ways.join(', ')}${half}`, { cause: error })
}
