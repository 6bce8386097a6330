/** Ranks within one process, each a task with a device of its own, to test what ranks do without MPI. */
import type { Device } from '../../engine/index.ts'
import { openDevice } from '../../imagenet/gpu/open.ts'
import type { Communicator } from '../../imagenet/parallel/communicator.ts'
import type { Summed } from '../../imagenet/parallel/library.ts'

const devices: Device[] = []

/** Runs `work` as each of `size` ranks at the same time; what they return, by rank. */
export async function asRanks<T>(size: number, work: (comm: Communicator, device: Device) => Promise<T>): Promise<T[]> {
  while (devices.length < size) devices.push(await openDevice())
  const meetings: Meeting[] = []
  return Promise.all(devices.slice(0, size).map((device, rank) => work(new TaskRank(rank, size, meetings), device)))
}

export function closeRanks(): void {
  for (const device of devices.splice(0)) device.destroy()
}

/** Where all ranks bring something and go on when the last one has come. */
class Meeting {
  readonly #brought: unknown[] = []
  readonly #over: Promise<unknown[]>
  #end!: (brought: unknown[]) => void
  #left: number

  constructor(size: number) {
    this.#left = size
    this.#over = new Promise((resolve) => {
      this.#end = resolve
    })
  }

  bring(rank: number, what: unknown): Promise<unknown[]> {
    this.#brought[rank] = what
    if (--this.#left === 0) this.#end(this.#brought)
    return this.#over
  }
}

class TaskRank implements Communicator {
  readonly rank: number
  readonly size: number
  readonly hosts: readonly string[]
  readonly #meetings: Meeting[]
  #met = 0

  constructor(rank: number, size: number, meetings: Meeting[]) {
    this.rank = rank
    this.size = size
    this.hosts = Array(size).fill('here')
    this.#meetings = meetings
  }

  async sum<T extends Summed>(values: T | Promise<T>): Promise<T> {
    const all = await this.#meet(values)
    const total = all[0].slice()
    for (const other of all.slice(1)) for (const [i, value] of other.entries()) total[i] += value
    return total as T
  }

  async broadcast(bytes: Uint8Array<ArrayBuffer> | Promise<Uint8Array<ArrayBuffer>>): Promise<Uint8Array<ArrayBuffer>> {
    return (await this.#meet(bytes))[0].slice()
  }

  gather(text: string): Promise<string[]> {
    return this.#meet(text)
  }

  fail(reason: string): Promise<never> {
    throw new Error(reason)
  }

  abort(status: number): Promise<never> {
    throw new Error(`aborted with ${status}`)
  }

  async close(): Promise<void> {}

  async #meet<T>(what: T | Promise<T>): Promise<T[]> {
    const meeting = (this.#meetings[this.#met++] ??= new Meeting(this.size))
    return (await meeting.bring(this.rank, await what)) as T[]
  }
}
