/** Runs commands under mpirun, where there is one. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { builtFile } from '../../imagenet/locate.ts'
import type { Ended } from '../bin/commands.ts'

/** Far more than any of these runs takes. */
const TIME_LIMIT_MS = 240_000

/** Whether MPI is here. Set KAKURITSU_TEST_MPI=1 where it must be. */
export const hasMpi = spawnSync('mpirun', ['--version']).status === 0
export const needsMpi = process.env.KAKURITSU_TEST_MPI === '1'

/** More ranks than cores, as root, on whichever core is free. */
export const MPI_ENV = {
  ...process.env,
  OMPI_ALLOW_RUN_AS_ROOT: '1',
  OMPI_ALLOW_RUN_AS_ROOT_CONFIRM: '1',
  OMPI_MCA_rmaps_base_oversubscribe: '1',
  OMPI_MCA_hwloc_base_binding_policy: 'none',
}

/** The program of ranks that the tests were built with. */
export const rankProgram = (): string => builtFile('test/parallel/rank.program.js')

/**
 * Runs a command, by default mpirun, and ends it by its own id if it hangs.
 * @param watch is given the process and what it has printed so far
 */
export function runMpi(
  args: readonly string[],
  {
    command = 'mpirun',
    env = {},
    watch = () => {},
  }: {
    command?: string
    env?: NodeJS.ProcessEnv
    watch?: (child: ChildProcess, stdout: string) => void
  } = {},
): Promise<Ended> {
  const child = spawn(command, args, { env: { ...MPI_ENV, ...env }, timeout: TIME_LIMIT_MS })
  const ended: Ended = { status: null, stdout: '', stderr: '' }
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    ended.stdout += text
    watch(child, ended.stdout)
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    ended.stderr += text
  })
  return new Promise((resolve) => child.on('close', (status) => resolve({ ...ended, status })))
}
