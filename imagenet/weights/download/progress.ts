/** What a person sees while a file downloads. All of it goes to standard error: standard output is for results. */
import { SingleBar } from 'cli-progress'

export interface DownloadProgress {
  update(bytes: number, total: number | undefined): void
  end(): void
}

/** Without a terminal there is a line each time that so much more of the file is there. */
const LINE_PERCENT = 10

const megabytes = (bytes: number): string => (bytes / 1e6).toFixed(1)

export function downloadProgress(name: string): DownloadProgress {
  return process.stderr.isTTY ? liveBar(name) : lines(name)
}

function liveBar(name: string): DownloadProgress {
  const bar = new SingleBar({
    format: `${name} {bar} {done}/{whole} MB · {rate} MB/s · {eta_formatted} left`,
    barsize: 24,
    barCompleteChar: '█',
    barIncompleteChar: '░',
    hideCursor: true,
    etaBuffer: 100,
    stream: process.stderr,
  })
  let began: { time: number; bytes: number } | null = null
  return {
    update(bytes, total) {
      const now = performance.now()
      began ??= { time: now, bytes }
      const seconds = (now - began.time) / 1000
      const rate = seconds > 0 ? megabytes((bytes - began.bytes) / seconds) : '–'
      const payload = { done: megabytes(bytes), whole: total === undefined ? '?' : megabytes(total), rate }
      if (!bar.isActive) bar.start(total ?? 0, bytes, payload)
      if (total !== undefined) bar.setTotal(total)
      bar.update(bytes, payload)
    },
    end: () => bar.stop(),
  }
}

function lines(name: string): DownloadProgress {
  let next = LINE_PERCENT
  return {
    update(bytes, total) {
      if (!total || (100 * bytes) / total < next) return
      console.error(`${name}: ${megabytes(bytes)} of ${megabytes(total)} MB`)
      while ((100 * bytes) / total >= next) next += LINE_PERCENT
    },
    end: () => {},
  }
}
