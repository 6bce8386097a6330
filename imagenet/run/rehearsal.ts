/** What a run does with the first batch of each phase before its first step. */
import type { Device } from '../../engine/index.ts'
import { type Module, rehearseModel } from '../../nn/index.ts'
import type { Samples } from '../data/samples.ts'
import { tuningOf } from '../gpu/tuning.ts'

/** The modes, `training` or not, in which a model has been rehearsed. */
const rehearsals = new WeakMap<Module, Set<boolean>>()

/**
 * Gives the batches on. With a model's first in each mode, the step that it is for is rehearsed while workers load those
 * behind it: its kernels compile side by side, and what is tuned is measured. Not without tuning on a software adapter:
 * such drivers compile when a kernel first runs, so that nothing would be gained.
 * @param step what will be done with a batch
 */
export async function* rehearsed(
  device: Device,
  model: Module,
  batches: AsyncIterable<Samples>,
  step: (batch: Samples) => Promise<unknown>,
): AsyncGenerator<Samples> {
  const tuning = tuningOf(device)
  const modes = rehearsals.get(model) ?? new Set()
  rehearsals.set(model, modes)
  for await (const batch of batches) {
    const wanted = (tuning || !device.software) && !modes.has(model.training) && batch.labels.length > 0
    if (wanted) {
      modes.add(model.training)
      // Its numbers mean nothing; an error of the GPU's will show when the device is next used.
      await rehearseModel(device, model, () => void step(batch).catch(() => {}))
      await tuning?.settle()
    }
    yield batch
  }
}
