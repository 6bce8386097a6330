/** `--multiprocessing-distributed`: starts mpirun with a process an adapter, on this host or several. */
import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { UsageError } from '../errors.ts'
import { runCommand } from '../gpu/driver/command.ts'
import type { Family } from './launch.ts'
import type { DistributedOptions } from './options.ts'

/**
 * Seconds that Open MPI leaves ranks to save after it has asked them to end; 1 unless told, too few for a large network.
 */
const GRACE = 60

export interface Places {
  hosts: readonly string[] | null
  nodes: number
  /** Processes on each. */
  perNode: number
}

/** @param nodes that the scheduler has given, if any @throws UsageError */
export function placesFor({ worldSize, hosts }: DistributedOptions, perNode: number, nodes: number | null): Places {
  if (hosts && worldSize !== null && hosts.length !== worldSize)
    throw new UsageError(`--world-size ${worldSize} counts hosts here, and --dist-url names ${hosts.length}`)
  const wanted = worldSize ?? hosts?.length ?? nodes ?? 1
  if (!hosts && wanted > (nodes ?? 1))
    throw new UsageError(
      `--world-size ${wanted} wants ${wanted} hosts, ${nodes === null ? 'and none are named' : `the scheduler has given ${nodes}`}: add --dist-url hostA,hostB,…`,
    )
  return { hosts, nodes: wanted, perNode }
}

/** The number of nodes of a scheduler's job (Slurm, PBS); null outside one. */
export function scheduledNodes(env: NodeJS.ProcessEnv = process.env): number | null {
  const { SLURM_JOB_NUM_NODES: slurm, PBS_NODEFILE: pbs } = env
  if (slurm) return Number(slurm)
  return pbs ? new Set(readFileSync(pbs, 'utf8').trim().split('\n')).size : null
}

/** mpirun's arguments, up to the command that it runs. */
export function mpirunArguments(family: Family, { hosts, nodes, perNode }: Places): string[] {
  const total = ['-n', String(nodes * perNode)]
  if (family === 'MPICH') return [...total, '-ppn', String(perNode), ...(hosts ? ['-hosts', hosts.join(',')] : [])]
  // A rank has threads for decoding, and on a software adapter for computing: cores are not dealt out.
  const options = ['--bind-to', 'none', '--map-by', `ppr:${perNode}:node`, '--oversubscribe']
  const named = hosts ? ['--host', hosts.map((host) => `${host}:${perNode}`).join(',')] : []
  return [...total, ...options, '--mca', 'odls_base_sigkill_timeout', String(GRACE), ...named]
}

/** @throws UsageError when there is no mpirun */
async function mpirunFamily(): Promise<Family> {
  const { status, stdout } = await runCommand('mpirun', ['--version'], 20)
  if (status !== 0)
    throw new UsageError(
      '--multiprocessing-distributed starts mpirun, which is not here: install an MPI (Debian and Ubuntu: apt-get install openmpi-bin)',
    )
  return /Open MPI|OpenRTE/.test(stdout) ? 'Open MPI' : 'MPICH'
}

/** Options that are the starter's, not the ranks'; those with a value as its next word, or behind `=`. */
const OWN = { flags: ['--multiprocessing-distributed'], valued: ['--world-size', '--rank', '--dist-url'] }

/** The command line of a rank, from that of the starter. */
export function rankArguments(argv: readonly string[]): string[] {
  return argv.filter((word, i) => {
    const [name] = word.split('=')
    return !OWN.flags.includes(word) && !OWN.valued.includes(name) && !OWN.valued.includes(argv[i - 1])
  })
}

/**
 * Runs a script under mpirun; returns its exit status. Ctrl-C asks the ranks to save, a second one ends them.
 * @throws UsageError when there is no mpirun
 */
export async function startRanks(places: Places, script: string, argv: readonly string[]): Promise<number> {
  const options = mpirunArguments(await mpirunFamily(), places)
  const command = [...options, process.execPath, script, ...rankArguments(argv)]
  // In a process group of its own, mpirun does not see the terminal's Ctrl-C, by which it would end the ranks.
  const child = spawn('mpirun', command, { stdio: 'inherit', detached: true })
  let asked = false
  const hand = () => {
    child.kill(asked ? 'SIGTERM' : 'SIGUSR2')
    asked = true
  }
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, hand)
  try {
    return await new Promise((resolve, reject) => {
      child.on('error', reject)
      child.on('close', (status) => resolve(status ?? 1))
    })
  } finally {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.removeListener(signal, hand)
  }
}
