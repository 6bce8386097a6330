/** A rank of a small job over MPI: `mpirun -n 2 node dist/test/parallel/rank.program.js JOB`. Not a test itself. */
import { setTimeout as sleep } from 'node:timers/promises'
import { UsageError } from '../../imagenet/errors.ts'
import { everywhere, onFirst, refuseDifferences } from '../../imagenet/parallel/agree.ts'
import type { Communicator } from '../../imagenet/parallel/communicator.ts'
import { launchedBy } from '../../imagenet/parallel/launch.ts'
import { asRank } from '../../imagenet/parallel/session.ts'

/** Sums until the end, a step every few milliseconds, while `at` does something to one of the steps. */
async function work(comm: Communicator, at: (step: number) => Promise<void> | void): Promise<void> {
  for (let step = 0; step < 1000; step++) {
    await at(step)
    await Promise.all([comm.sum(new Float32Array(1000)), comm.sum(sleep(5, new Float64Array(3)))])
    if (step === 3) console.log('working')
  }
}

const isLast = (comm: Communicator) => comm.rank === comm.size - 1

const JOBS: Record<string, (comm: Communicator) => Promise<unknown>> = {
  /** Everything that ranks do together, called ahead and answered in order. */
  async together(comm) {
    const late = comm.sum(sleep(100 * comm.rank, Float32Array.of(comm.rank + 1, 1)))
    const large = comm.sum(new Float32Array(2_000_000).fill(comm.rank))
    const texts = comm.gather(`rank ${comm.rank} ${'é'.repeat(comm.rank)}`)
    const bytes = comm.broadcast(comm.rank === 0 ? Uint8Array.of(7, 8, 9) : new Uint8Array(3))
    const part = comm.sum(new Float64Array([0, comm.rank, 0]).subarray(1, 2))
    const [sums, many] = [[...(await late)], await large]
    const wrong = many.findIndex((value) => value !== many[0])
    const first = await onFirst(comm, () => ({ rank: comm.rank }))
    const all = await everywhere(comm, () => comm.rank)
    const rest = { texts: await texts, bytes: [...(await bytes)], part: [...(await part)] }
    console.log(JSON.stringify({ sums, large: [many.length, many[0], wrong], ...rest, first, all }))
  },
  async refuse(comm) {
    await everywhere(comm, () => {
      if (isLast(comm)) throw new UsageError('there is no folder images')
    })
  },
  differ: (comm) => refuseDifferences(comm, { lr: 0.1, batchSize: isLast(comm) ? 32 : 64 }),
  throw: (comm) =>
    work(comm, (step) => {
      if (step === 10 && isLast(comm)) throw new Error('the GPU has no memory left')
    }),
  throwFirst: (comm) =>
    work(comm, (step) => {
      if (step === 10 && comm.rank === 0) throw new Error('the disk is full')
    }),
  die: (comm) =>
    work(comm, (step) => {
      if (step === 10 && isLast(comm)) process.kill(process.pid, 'SIGKILL')
    }),
  fallSilent: (comm) =>
    work(comm, (step) => {
      if (step === 10 && isLast(comm)) process.kill(process.pid, 'SIGSTOP')
    }),
  work: (comm) => work(comm, () => {}),
}

const [job, patience = '10'] = process.argv.slice(2)
try {
  process.exitCode = await asRank(
    launchedBy()!,
    Number(patience),
    async () => null,
    async (comm) => {
      await JOBS[job](comm)
      return 0
    },
  )
} catch (error) {
  console.error((error as Error).message)
  process.exitCode = error instanceof UsageError ? 2 : 1
}
