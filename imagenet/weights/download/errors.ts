/** A file that cannot be downloaded, whatever is tried; the message names its address. */
export class DownloadError extends Error {
  override name = 'DownloadError'
}

/** An attempt that failed, where another may fare better. */
export class Interrupted extends Error {
  override name = 'Interrupted'
  /** What the server asks to wait. */
  readonly retryAfterMs: number
  /** Whether the bytes that are there are of no use to the next attempt. */
  readonly startOver: boolean

  constructor(reason: string, { retryAfterMs = 0, startOver = false } = {}) {
    super(reason)
    this.retryAfterMs = retryAfterMs
    this.startOver = startOver
  }
}

/** The cause of an error of `fetch`, which itself says no more than 'fetch failed' or 'terminated'. */
export function reasonOf(error: unknown): string {
  const { cause, message } = error as Error & { cause?: Error & { code?: string } }
  // An address with several IPs fails with an AggregateError, whose message is empty.
  return cause?.code ?? (cause?.message || message)
}
