/** `train` where it may be one process, one of several, or the one that starts them. */
import type { Device } from '../../engine/index.ts'
import { type GpuOptions, listAdapters } from '../gpu/open.ts'
import type { TrainRequest } from '../run/options.ts'
import { train, trainAsRank } from '../run/train.ts'
import { launchedBy } from './launch.ts'
import { type DistributedOptions, refuseConflicts } from './options.ts'
import { placeRank, usableAdapters } from './placement.ts'
import { asRank } from './session.ts'
import { placesFor, scheduledNodes, startRanks } from './start.ts'

/**
 * Trains in this process, or with others that an MPI launcher has started, or starts those first; returns the command's
 * exit status.
 * @param remarks to be printed once
 * @param open opens an adapter
 * @throws UsageError
 */
export async function trainDistributed(
  request: TrainRequest,
  options: DistributedOptions,
  { gpu, remarks }: { gpu?: string; remarks: readonly string[] },
  open: (options: GpuOptions) => Promise<Device>,
): Promise<number> {
  const launched = launchedBy()
  refuseConflicts(options, launched)
  const { spawn, shareGpu, patience } = options
  if (!launched && spawn) {
    const adapters = usableAdapters(await listAdapters(), gpu).length
    const places = placesFor(options, adapters * shareGpu, scheduledNodes())
    if (places.nodes * places.perNode > 1) return startRanks(places, process.argv[1], process.argv.slice(2))
  }
  if (!launched?.size || launched.size === 1) {
    for (const remark of remarks) console.log(remark)
    return train(request, () => open({ gpu }))
  }
  let device: Device | null = null
  try {
    const prepare = async () => {
      device = await open({ gpu: await placeRank({ ...launched, shareGpu, gpu }) })
      return device
    }
    return await asRank(launched, patience, prepare, (comm, device) => {
      for (const remark of remarks) console.log(remark)
      return trainAsRank(request, device, comm)
    })
  } finally {
    ;(device as Device | null)?.destroy()
  }
}
