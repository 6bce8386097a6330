/**
 * Downloads one file whose SHA-256 is known. What has arrived waits in `FILE.partial`: a later attempt, or a later
 * process, asks for the rest only. FILE itself appears when it is whole and right, and not before.
 */
import { createHash } from 'node:crypto'
import { constants, createReadStream } from 'node:fs'
import { type FileHandle, open, rename, rm } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { DownloadError, Interrupted, reasonOf } from './errors.ts'
import { StallGuard } from './stall.ts'

export interface DownloadOptions {
  /** The hexadecimal digits that the content's SHA-256 begins with. */
  sha256: string
  /** Milliseconds without a byte after which a connection is given up; 30,000 unless given. */
  stallMs?: number
  /** Milliseconds before the first retry; each further one waits twice as long; 1000 unless given. */
  retryMs?: number
  /** @param total bytes of the whole, if the server says so */
  onProgress?: (bytes: number, total: number | undefined) => void
}

/** Attempts in a row that may fail, where each brings less than `PROGRESS_BYTES`. */
const ATTEMPTS = 5
const PROGRESS_BYTES = 2 ** 20
/** Attempts at a server that has never answered: without a network nobody should wait long to be told so. */
const FIRST_ATTEMPTS = 2

/** The longest wait, in seconds, that a busy server's Retry-After is followed in. */
const MAX_WAIT_S = 60

/** More than any file that this is for (the largest of torchvision's ResNets has 340 MB): a stream without end stops here. */
const MAX_BYTES = 2 ** 30

/**
 * Two processes that download the same file at once write the same bytes to the same places, so neither spoils the
 * other's work; `withLock` saves the second download.
 * @throws DownloadError when the server cannot be reached, refuses, or sends another file
 */
export async function download(url: string, file: string, options: DownloadOptions): Promise<void> {
  const partial = `${file}.partial`
  const handle = await open(partial, constants.O_RDWR | constants.O_CREAT)
  try {
    let begun = (await handle.stat()).size
    for (;;) {
      await fetchRest(url, handle, options)
      const hash = await sha256Of(partial)
      if (hash.startsWith(options.sha256)) break
      await handle.truncate(0)
      if (begun === 0)
        throw new DownloadError(
          `${url} is another file than it should be: its SHA-256 begins with ${hash.slice(0, 8)}, not ${options.sha256}`,
        )
      // What an earlier process left was no part of this file.
      begun = 0
    }
    await handle.sync()
  } catch (error) {
    if ((await handle.stat()).size === 0) await rm(partial, { force: true })
    throw error
  } finally {
    await handle.close()
  }
  await rename(partial, file)
}

/** Lower-case hexadecimal digits of a file's SHA-256. */
export async function sha256Of(file: string): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(file, { highWaterMark: 2 ** 20 })) hash.update(chunk)
  return hash.digest('hex')
}

interface Server {
  /** Of the content whose beginning is there; only a strong one can vouch for that (RFC 9110, 13.1.5). */
  etag: string | null
  hasAnswered: boolean
}

/** Adds what is missing at the end of a partial file, in as many attempts as it takes. */
async function fetchRest(url: string, handle: FileHandle, options: DownloadOptions): Promise<void> {
  const server: Server = { etag: null, hasAnswered: false }
  let failures = 0
  for (;;) {
    const before = (await handle.stat()).size
    try {
      await attempt(url, handle, server, options)
      return
    } catch (error) {
      if (!(error instanceof Interrupted)) throw error
      if ((await handle.stat()).size - before >= PROGRESS_BYTES) failures = 0
      if (error.startOver) await handle.truncate(0)
      failures++
      if (failures >= (server.hasAnswered ? ATTEMPTS : FIRST_ATTEMPTS))
        throw new DownloadError(`cannot download ${url} (${error.message})`)
      await sleep(Math.max((options.retryMs ?? 1000) * 2 ** (failures - 1), error.retryAfterMs))
    }
  }
}

/** One request. @throws Interrupted when another may fare better */
async function attempt(url: string, handle: FileHandle, server: Server, options: DownloadOptions): Promise<void> {
  const have = (await handle.stat()).size
  using stall = new StallGuard(options.stallMs ?? 30_000)
  // A compressed answer would have other lengths and ranges than the file.
  const headers: Record<string, string> = { 'accept-encoding': 'identity' }
  if (have > 0) headers.range = `bytes=${have}-`
  if (have > 0 && server.etag) headers['if-range'] = server.etag
  const response = await fetch(url, { headers, signal: stall.signal }).catch((error) => {
    throw new Interrupted(reasonOf(error))
  })
  server.hasAnswered = true
  const begin = await beginningOf(response, have, url)
  if (response.status === 416) return
  if (begin < have) await handle.truncate(begin)
  const etag = response.headers.get('etag')
  server.etag = etag?.startsWith('"') ? etag : null

  const length = response.headers.get('content-length')
  const total = length === null ? undefined : begin + Number(length)
  let at = begin
  options.onProgress?.(at, total)
  for await (const chunk of arriving(response, stall)) {
    if (at + chunk.length > MAX_BYTES) throw new DownloadError(`${url} is longer than ${MAX_BYTES} bytes`)
    for (let written = 0; written < chunk.length; )
      written += (await handle.write(chunk, written, chunk.length - written, at + written)).bytesWritten
    at += chunk.length
    options.onProgress?.(at, total)
  }
  if (total !== undefined && at < total) throw new Interrupted(`cut off after ${at} of ${total} bytes`)
}

/**
 * Which byte of the file the answer begins with: `have`, or 0 where the server ignores ranges or has other content now.
 * @throws Interrupted when the server is busy or confused; DownloadError when it refuses
 */
async function beginningOf(response: Response, have: number, url: string): Promise<number> {
  const { status, headers } = response
  if (status === 200) return 0
  const range = headers.get('content-range') ?? ''
  if (status === 206 && Number(range.match(/^bytes (\d+)-/)?.[1]) === have) return have
  await response.body?.cancel()
  // Nothing is left to send where the file ends here.
  if (status === 416 && range === `bytes */${have}`) return have
  if (status === 416 || status === 206)
    throw new Interrupted(`HTTP ${status} with the range '${range}' for byte ${have}`, { startOver: true })
  if (status >= 500 || status === 408 || status === 429) {
    const seconds = Number(headers.get('retry-after') ?? 0) || 0
    throw new Interrupted(`HTTP ${status}`, { retryAfterMs: Math.min(seconds, MAX_WAIT_S) * 1000 })
  }
  throw new DownloadError(`cannot download ${url} (HTTP ${status})`)
}

/** The response's bytes as they come. @throws Interrupted when they end early or stop */
async function* arriving(response: Response, stall: StallGuard): AsyncGenerator<Uint8Array> {
  if (!response.body) return
  try {
    for await (const chunk of response.body) {
      stall.reset()
      yield chunk
    }
  } catch (error) {
    throw new Interrupted(reasonOf(error))
  }
}
