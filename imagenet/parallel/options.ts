/** The original's options for several processes, and what they mean over MPI. */
import { UsageError } from '../errors.ts'
import type { Launched } from './launch.ts'

export interface DistributedOptions {
  /** Processes in all; hosts, where `spawn`. Null: not said. */
  worldSize: number | null
  /** Null: not said. */
  rank: number | null
  /** Named to start processes on; null: the scheduler's, or this one. */
  hosts: readonly string[] | null
  /** Whether to start the processes: one an adapter, or `shareGpu`. */
  spawn: boolean
  /** Ranks that may share an adapter. */
  shareGpu: number
  /** Seconds after which a rank that is not heard of counts as lost. */
  patience: number
}

export const DISTRIBUTED_DEFAULTS = { shareGpu: 1, rankTimeout: 10 }

/**
 * @param all values of the command line, by their names there
 * @returns those of several processes, and the others
 * @throws UsageError
 */
export function distributedOptions(all: Record<string, unknown>): {
  distributed: DistributedOptions
  values: Record<string, unknown>
} {
  const { worldSize, rank, distUrl, distBackend: _, multiprocessingDistributed, shareGpu, rankTimeout, ...values } = all
  const spawn = multiprocessingDistributed === true
  const distributed = {
    worldSize: numberOf('--world-size', worldSize, 1),
    rank: numberOf('--rank', rank, 0),
    hosts: hostsOf(distUrl as string | undefined),
    spawn,
    shareGpu: shareGpu as number,
    patience: rankTimeout as number,
  }
  if (spawn && distributed.rank)
    throw new UsageError(
      `--multiprocessing-distributed starts the processes of all hosts from one: give the command once, without --rank ${rank}`,
    )
  return { distributed, values }
}

/** -1 is the original's default: not said. */
function numberOf(option: string, text: unknown, least: number): number | null {
  if (text === undefined || text === '-1') return null
  const number = Number(text)
  if (!Number.isSafeInteger(number) || number < least)
    throw new UsageError(`${option} takes a whole number from ${least} on, given '${text}'`)
  return number
}

/** `a,b`, `mpi://a,b`; `env://` and PyTorch's `tcp://address:port`, which MPI needs not, name none. @throws UsageError */
function hostsOf(url: string | undefined): readonly string[] | null {
  if (url === undefined || url === 'env://' || url.startsWith('tcp://')) return null
  const hosts = url.replace(/^mpi:\/\//, '').split(',')
  if (url.includes('://') && !url.startsWith('mpi://'))
    throw new UsageError(`--dist-url takes hosts (hostA,hostB), env:// or tcp://…, given '${url}'`)
  const wrong = hosts.find((host) => !/^\w[\w.-]*$/.test(host))
  if (wrong !== undefined) throw new UsageError(`--dist-url takes hosts (hostA,hostB); '${wrong}' is no host's name`)
  return hosts
}

/** @throws UsageError when what the user says of ranks is not so. */
export function refuseConflicts({ worldSize, rank, spawn }: DistributedOptions, launched: Launched | null): void {
  const { size, rank: own } = launched ?? { size: 1, rank: 0 }
  const by = launched ? 'by MPI' : 'on its own'
  if (worldSize !== null && !spawn && size !== null && worldSize !== size)
    throw new UsageError(
      `--world-size ${worldSize} wants ${worldSize} processes; this one was started ${by}, one of ${size}: ${
        launched ? 'leave --world-size out' : `mpirun -n ${worldSize} node bin/train.js … (or srun) starts them`
      }`,
    )
  if (rank !== null && own !== null && rank !== own)
    throw new UsageError(
      `--rank ${rank} is not this process's: it was started ${by}, as rank ${own} of ${size}; leave --rank out, MPI numbers them`,
    )
}

/** What is to be said of options that change nothing here. */
export function remarks({ distBackend, distUrl }: Record<string, unknown>): string[] {
  const said: string[] = []
  if (distBackend !== undefined && distBackend !== 'mpi')
    said.push(`--dist-backend ${distBackend}: sums go over MPI, the one backend here`)
  if (typeof distUrl === 'string' && distUrl.startsWith('tcp://'))
    said.push(`--dist-url ${distUrl}: not used; MPI finds its processes by itself`)
  return said
}
