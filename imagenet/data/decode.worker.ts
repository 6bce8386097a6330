/** A worker thread: reads, decodes and transforms the files of one batch after another. */
import { parentPort } from 'node:worker_threads'
import { DecodeError } from '../errors.ts'
import { decodeFileBy } from '../images/decode.ts'
import { makePixels } from '../images/pixels.ts'
import { type Job, type Outcome, throwIfStopped } from './job.ts'

const port = parentPort
if (!port) throw new Error('decode.worker runs as a worker thread only')

port.on('message', async ({ recipe, view, indices, paths, stop }: Job) => {
  try {
    const made = await makePixels(recipe, view, indices, (place) => {
      throwIfStopped(stop)
      return decodeFileBy(recipe.decoder, paths[place])
    })
    const { pixels, crops } = made
    const parts = crops ? [crops.pixels, crops.filters, crops.images] : [pixels]
    port.postMessage(
      made satisfies Outcome,
      parts.map(({ buffer }) => buffer),
    )
  } catch (error) {
    // A posted error loses its class, so its parts are sent.
    const outcome: Outcome =
      error instanceof DecodeError
        ? { file: error.file, reason: error.reason }
        : { reason: error instanceof Error ? (error.stack ?? error.message) : String(error) }
    port.postMessage(outcome)
  }
})
