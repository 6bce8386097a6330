/**
 * The thread that calls MPI, so that the event loop never waits for another rank. Collectives run one after the other in
 * the order given. Beside them each rank sends rank 0 a sign of life every second, and rank 0 one to each: a rank that
 * falls silent (its host is gone, its cable cut) is noticed, where MPI itself would wait for minutes or for ever.
 */
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads'
import { MpiLibrary, newHandle } from './library.ts'
import type { Collective, Reply, Request, Start } from './protocol.ts'

const port = parentPort
if (!port) throw new Error('mpi.worker runs as a worker thread only')

/** Milliseconds between signs of life. */
const BEAT = 1000

/**
 * A collective that has been waited for so long is asked for after pauses of a hundredth of that, at most a twentieth of a
 * millisecond: short ones lose no time. One that takes longer than `long` waits for another rank's work, and leaves it
 * the processor. Milliseconds.
 */
const PAUSE = { part: 0.01, most: 0.05, long: 100, mostWhenLong: 1 }

/** Bytes of a message: JSON, then zeros. */
const MESSAGE_BYTES = 2048

interface Message {
  from: number
  /** Why the sender cannot go on; without it, a sign of life. */
  reason?: string
}

class MpiThread {
  readonly #mpi: MpiLibrary
  readonly #patience: number
  readonly #queue: Collective[] = []
  readonly #sleeper = new Int32Array(new SharedArrayBuffer(4))
  readonly #inbox = new Uint8Array(new ArrayBuffer(MESSAGE_BYTES))
  /** By rank; this rank's own are not used. */
  readonly #heard: number[]
  readonly #outbox: { bytes: Uint8Array; request: BigUint64Array }[]
  readonly #peers: number[]
  readonly #timer: NodeJS.Timeout
  #nextBeat = 0
  #failed = false

  constructor({ family, patience }: Start) {
    this.#mpi = new MpiLibrary(family)
    const { rank, size, version } = this.#mpi
    this.#patience = patience * 1000
    this.#peers = rank === 0 ? Array.from({ length: size - 1 }, (_, i) => i + 1) : [0]
    this.#heard = Array(size).fill(performance.now())
    this.#outbox = Array.from({ length: size }, () => ({ bytes: this.#encode({ from: rank }), request: newHandle() }))
    for (const peer of this.#peers) this.#mpi.send(this.#outbox[peer].bytes, peer, this.#outbox[peer].request)
    this.#timer = setInterval(() => this.#attend(), BEAT / 2)
    reply({ kind: 'started', version, rank, size })
  }

  take(request: Request): void {
    if (request.kind === 'report') this.#report(request.reason)
    else if (request.kind === 'abort') this.#mpi.abort(request.status)
    else if (request.kind === 'close') this.#close()
    else this.#queue.push(request)
  }

  /** Does what is in the queue. Messages that come meanwhile are taken. */
  work(): void {
    for (let next = this.#queue.shift(); next && !this.#failed; next = this.#queue.shift()) {
      const start = performance.now()
      const request = newHandle()
      this.#start(next, request)
      while (!this.#mpi.test(request)) {
        const waited = performance.now() - start
        const most = waited < PAUSE.long ? PAUSE.most : PAUSE.mostWhenLong
        Atomics.wait(this.#sleeper, 0, 0, Math.min(waited * PAUSE.part, most))
        this.#attend()
        const message = receiveMessageOnPort(port!)
        if (message) this.take(message.message)
        if (this.#failed) return
      }
      reply({ kind: 'done', result: next, seconds: (performance.now() - start) / 1000 })
    }
  }

  #start(collective: Collective, request: BigUint64Array): void {
    if (collective.kind === 'sum') this.#mpi.sum(collective.values, request)
    else if (collective.kind === 'broadcast') this.#mpi.broadcast(collective.bytes, request)
    else this.#mpi.gather(collective.all, collective.slot, request)
  }

  /** Once a beat: signs of life go out, those that came are noted, and who has been silent for too long is given up. */
  #attend(): void {
    const now = performance.now()
    if (now < this.#nextBeat || this.#failed) return
    this.#nextBeat = now + BEAT
    while (this.#mpi.receive(this.#inbox)) {
      const { from, reason } = decode(this.#inbox)
      this.#heard[from] = now
      if (reason !== undefined) this.#fail(from, reason)
    }
    for (const peer of this.#peers) {
      const { bytes, request } = this.#outbox[peer]
      if (this.#mpi.test(request)) this.#mpi.send(bytes, peer, request)
      const silence = now - this.#heard[peer]
      if (silence > this.#patience)
        this.#fail(peer, `has not been heard of for ${Math.round(silence / 1000)} seconds`, true)
    }
  }

  #report(reason: string): void {
    this.#failed = true // nothing else is of use now
    if (this.#mpi.rank === 0) return
    const request = newHandle()
    this.#mpi.send(this.#encode({ from: this.#mpi.rank, reason }), 0, request)
    const end = performance.now() + this.#patience
    while (!this.#mpi.test(request) && performance.now() < end) Atomics.wait(this.#sleeper, 0, 0, 1)
  }

  #fail(rank: number, reason: string, lost = false): void {
    if (this.#failed) return
    this.#failed = true
    reply({ kind: 'failure', rank, reason, lost })
  }

  #close(): void {
    clearInterval(this.#timer)
    // When all ranks are here, none sends any more: what has been sent is taken, as MPI wants it to be.
    const request = newHandle()
    this.#mpi.sum(new Float64Array(new ArrayBuffer(8)), request)
    while (!this.#mpi.test(request)) Atomics.wait(this.#sleeper, 0, 0, PAUSE.mostWhenLong)
    while (this.#mpi.receive(this.#inbox));
    this.#mpi.finalize()
    reply({ kind: 'closed' })
  }

  #encode(message: Message): Uint8Array {
    const bytes = new Uint8Array(new ArrayBuffer(MESSAGE_BYTES))
    let { reason } = message
    // What is too long to be sent loses its end; a character takes 6 bytes at most in JSON.
    if (reason !== undefined) reason = reason.slice(0, MESSAGE_BYTES / 6 - 20)
    new TextEncoder().encodeInto(JSON.stringify({ ...message, reason }), bytes)
    return bytes
  }
}

const decode = (bytes: Uint8Array): Message => JSON.parse(new TextDecoder().decode(bytes.subarray(0, bytes.indexOf(0))))

function reply(message: Reply): void {
  port!.postMessage(message, message.kind === 'done' ? [bufferOf(message.result)] : [])
}

function bufferOf(collective: Collective): ArrayBuffer {
  switch (collective.kind) {
    case 'sum':
      return collective.values.buffer
    case 'broadcast':
      return collective.bytes.buffer
    case 'gather':
      return collective.all.buffer
  }
}

try {
  const thread = new MpiThread(workerData)
  port.on('message', (request: Request) => {
    try {
      thread.take(request)
      thread.work()
    } catch (error) {
      reply({ kind: 'failure', reason: (error as Error).message })
    }
  })
} catch (error) {
  reply({ kind: 'refused', reason: (error as Error).message })
}
