/** Who started this process, if it is one of several: read from what launchers put into the environment. */
import { hostname } from 'node:os'

/** Which kind of MPI: libraries of one kind do not understand the other's launcher. */
export type Family = 'Open MPI' | 'MPICH'

export interface Launched {
  family: Family
  /** Null where the launcher tells it to the library alone. */
  rank: number | null
  size: number | null
  /** This rank's number among those of its host, and how many those are. */
  localRank: number
  localSize: number
  host: string
}

/**
 * Open MPI's mpirun, MPICH's (Hydra; Intel MPI's is one), and Slurm's srun, which speaks PMIx or, to MPICH, PMI. Null for
 * a process that is on its own, also within a Slurm job, if not started by srun.
 */
export function launchedBy(env: NodeJS.ProcessEnv = process.env): Launched | null {
  const number = (...names: string[]): number | null => {
    const text = names.map((name) => env[name]).find((value) => value !== undefined && /^\d+$/.test(value))
    return text === undefined ? null : Number(text)
  }
  const host = hostname()
  const openMpi = number('OMPI_COMM_WORLD_SIZE')
  if (openMpi !== null)
    return {
      family: 'Open MPI',
      rank: number('OMPI_COMM_WORLD_RANK'),
      size: openMpi,
      localRank: number('OMPI_COMM_WORLD_LOCAL_RANK') ?? 0,
      localSize: number('OMPI_COMM_WORLD_LOCAL_SIZE') ?? 1,
      host,
    }
  const family = env.PMIX_RANK !== undefined ? 'Open MPI' : env.PMI_RANK !== undefined ? 'MPICH' : null
  if (!family) return null
  return {
    family,
    rank: number('PMIX_RANK', 'PMI_RANK'),
    size: number('PMI_SIZE', 'SLURM_STEP_NUM_TASKS', 'SLURM_NTASKS'),
    localRank: number('MPI_LOCALRANKID', 'SLURM_LOCALID') ?? 0,
    localSize: number('MPI_LOCALNRANKS') ?? tasksOnThisNode(env),
    host,
  }
}

/** Slurm's list of tasks by node, `2(x3),1`, at this node's place. */
function tasksOnThisNode({ SLURM_STEP_TASKS_PER_NODE: list, SLURM_NODEID: node }: NodeJS.ProcessEnv): number {
  const counts = (list ?? '').split(',').flatMap((entry) => {
    const parts = entry.match(/^(?<count>\d+)(?:\(x(?<times>\d+)\))?$/)?.groups
    return parts ? Array<number>(Number(parts.times ?? 1)).fill(Number(parts.count)) : []
  })
  return counts[Number(node ?? 0)] ?? 1
}
