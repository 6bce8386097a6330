/** A web server on this machine that misbehaves as it is told to, a request after the other. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

export type Answer = (request: IncomingMessage, response: ServerResponse) => void

export interface TestServer {
  url: string
  /** The Range and If-Range headers of the requests so far. */
  ranges: (string | undefined)[]
  ifRanges: (string | undefined)[]
  close(): Promise<void>
}

/** @param answers to the first request, the second, …; the last one answers all that follow */
export async function serve(...answers: Answer[]): Promise<TestServer> {
  const ranges: (string | undefined)[] = []
  const ifRanges: (string | undefined)[] = []
  const server = createServer((request, response) => {
    const answer = answers[Math.min(ranges.length, answers.length - 1)]
    ranges.push(request.headers.range)
    ifRanges.push(request.headers['if-range'] as string | undefined)
    answer(request, response)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    ranges,
    ifRanges,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

/** Serves a file as a good server does: whole, or from the byte asked for. */
export const file =
  (content: Buffer, etag = '"v1"'): Answer =>
  (request, response) => {
    const begin = Number(request.headers.range?.match(/^bytes=(\d+)-$/)?.[1] ?? 0)
    const changed = request.headers['if-range'] !== undefined && request.headers['if-range'] !== etag
    if (begin >= content.length && begin > 0) {
      response.writeHead(416, { 'content-range': `bytes */${content.length}` }).end()
    } else if (begin > 0 && !changed) {
      const range = `bytes ${begin}-${content.length - 1}/${content.length}`
      const headers = { 'content-range': range, 'content-length': content.length - begin, etag }
      response.writeHead(206, headers).end(content.subarray(begin))
    } else response.writeHead(200, { 'content-length': content.length, etag }).end(content)
  }

/** Knows no ranges. */
export const wholeFile =
  (content: Buffer): Answer =>
  (_request, response) =>
    void response.writeHead(200, { 'content-length': content.length }).end(content)

/** Announces all that is asked for and sends so many bytes of it, then `then` happens. */
export const partly =
  (content: Buffer, bytes: number, then: 'cut off' | 'stall', etag = '"v1"'): Answer =>
  (request, response) => {
    const begin = Number(request.headers.range?.match(/^bytes=(\d+)-$/)?.[1] ?? 0)
    const range = `bytes ${begin}-${content.length - 1}/${content.length}`
    response.writeHead(begin > 0 ? 206 : 200, {
      'content-length': content.length - begin,
      etag,
      ...(begin > 0 ? { 'content-range': range } : {}),
    })
    response.write(content.subarray(begin, begin + bytes), () => {
      // The client, in this process too, must have read them before the connection ends. It reads between two timers, late as
      // they may be on a busy machine.
      if (then === 'cut off') setTimeout(() => setTimeout(() => response.destroy(), 10), 10)
    })
  }

export const status =
  (code: number, headers: Record<string, string> = {}): Answer =>
  (_request, response) =>
    void response.writeHead(code, headers).end('no')
