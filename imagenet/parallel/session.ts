/** One process among several: how it joins, how it says what is wrong, how all end. */
import { spawn, spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { availableParallelism, cpus } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { CommonRefusal } from './agree.ts'
import { type Communicator, RankFailure } from './communicator.ts'
import type { Launched } from './launch.ts'
import { MpiCommunicator } from './mpi.ts'

/** Milliseconds for which others wait for rank 0 to report what all find wrong: the launcher then ends them. */
const FIRST_TO_SPEAK = 1500

/**
 * Does a rank's work; returns its exit status. Rank 0's is the run's; others' is 0 where rank 0 reports.
 * @param prepare what must be done before the MPI thread starts
 * @param work told the communicator and what was prepared
 * @param command that speaks
 * @throws Error on rank 0 alone, to be reported; a failure of the whole run ends the process here, on all ranks
 */
export async function asRank<T>(
  launched: Launched,
  patience: number,
  prepare: () => Promise<T>,
  work: (comm: Communicator, prepared: T) => Promise<number>,
  command = 'train',
): Promise<number> {
  const [comm, prepared] = await join(launched, patience, prepare)
  const isFirst = comm.rank === 0
  // What all ranks would say, rank 0 says.
  if (!isFirst) console.log = () => {}
  else describe(comm, launched)
  try {
    const status = await work(comm, prepared)
    await comm.close()
    return isFirst ? status : 0
  } catch (error) {
    if (!(error instanceof CommonRefusal)) return fail(comm, error as Error, command)
    await comm.close()
    if (isFirst) throw error
    return 0
  }
}

async function join<T>(launched: Launched, patience: number, prepare: () => Promise<T>): Promise<[MpiCommunicator, T]> {
  try {
    const prepared = await prepare()
    return [await MpiCommunicator.join(launched, patience), prepared]
  } catch (error) {
    if (launched.rank === 0) throw error
    await sleep(FIRST_TO_SPEAK)
    ;(error as Error).message = `rank ${launched.rank ?? '?'} on ${launched.host}: ${(error as Error).message}`
    throw error
  }
}

/** Ends all ranks. Whoever knows the reason prints it: rank 0, unless that is what was lost. */
async function fail(comm: Communicator, error: Error, command: string): Promise<never> {
  const isFirst = comm.rank === 0
  if (!isFirst && !(error instanceof RankFailure)) return comm.fail(error.message)
  const told = error instanceof RankFailure ? error : new RankFailure(comm.rank, comm.hosts[comm.rank], error.message)
  console.error(process.env.DEBUG ? error.stack : `${command}: ${told.message}; all ranks end`)
  if (told.lost) endLauncher(process.ppid)
  return comm.abort(1)
}

/** Of a process's program; empty where it cannot be found out. */
function nameOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'utf8').trim()
  } catch {
    return spawnSync('ps', ['-o', 'comm=', '-p', String(pid)], { encoding: 'utf8' }).stdout?.trim() ?? ''
  }
}

/** Programs that start ranks: on the host of the user's command, and on the others. */
const LAUNCHERS = /^(mpirun|mpiexec|orterun|orted|prterun|prted|mpiexec.hydra|hydra_pmi_proxy)/

/**
 * A launcher would wait for ranks on a host that is gone for as long as TCP does, a quarter of an hour. So it is asked to
 * end as Ctrl-C asks it, which it heeds at once the third time, by a process that outlives this one.
 */
function endLauncher(pid: number): void {
  if (!LAUNCHERS.test(nameOf(pid))) return
  const ask = `sleep 1; kill -TERM ${pid}`
  const script = `${ask}; ${ask}; ${ask}; sleep 2; kill -KILL ${pid}`
  spawn('sh', ['-c', script], { detached: true, stdio: 'ignore' }).unref()
}

/** `4 ranks over Open MPI v4.1.4: 2 on node1, 2 on node2`. */
function describe({ size, version, hosts }: MpiCommunicator, { localSize }: Launched): void {
  const counts = new Map<string, number>()
  for (const host of hosts) counts.set(host, (counts.get(host) ?? 0) + 1)
  const places = [...counts].map(([host, count]) => `${count} on ${host}`).join(', ')
  console.log(`${size} rank${size > 1 ? 's' : ''} over ${version}: ${places}`)
  const cores = availableParallelism()
  if (cores < cpus().length && cores * localSize <= cpus().length)
    console.log(`each rank may use ${cores} of ${cpus().length} cores: mpirun --bind-to none lets it use all`)
}
