/** `runExperiment` where it may be one process or one of several, which divide the runs. */
import type { Device } from '../../engine/index.ts'
import { type ExperimentContext, type Outcome, runExperiment } from '../experiment/experiment.ts'
import type { ExperimentOptions } from '../experiment/options.ts'
import type { GpuOptions } from '../gpu/open.ts'
import { versions } from '../versions.ts'
import { refuseDifferences } from './agree.ts'
import { launchedBy } from './launch.ts'
import { DISTRIBUTED_DEFAULTS } from './options.ts'
import { placeRank } from './placement.ts'
import { asRank } from './session.ts'

/** @param open opens an adapter @throws UsageError as `runExperiment` does, and when ranks may not share an adapter */
export async function experimentDistributed(
  options: ExperimentOptions,
  context: Omit<ExperimentContext, 'open' | 'comm'>,
  { gpu, shareGpu }: { gpu?: string; shareGpu: number },
  open: (options: GpuOptions) => Promise<Device>,
): Promise<Outcome> {
  const launched = launchedBy()
  if (!launched?.size || launched.size === 1) return runExperiment(options, { ...context, open: () => open({ gpu }) })
  let outcome: Outcome = { status: 0, report: null }
  // Once it is placed, a rank sees its own adapter alone.
  let place: string | undefined
  const prepare = async () => {
    place ??= await placeRank({ ...launched, shareGpu, gpu })
    return open({ gpu: place })
  }
  const work: Parameters<typeof asRank<Device>>[3] = async (comm, device) => {
    await refuseDifferences(comm, { ...versions(), ...options })
    let prepared: Device | null = device
    const openNext = async () => {
      const next = prepared ?? (await prepare())
      prepared = null
      return next
    }
    outcome = await runExperiment(options, { ...context, open: openNext, comm })
    return outcome.status
  }
  const status = await asRank(launched, DISTRIBUTED_DEFAULTS.rankTimeout, prepare, work, 'experiment')
  return { ...outcome, status }
}
