/** How ranks share a batch. */
import type { Divide } from '../data/loader.ts'
import { type Samples, STAND_INS } from '../data/samples.ts'
import type { Communicator } from './communicator.ts'

/**
 * Neighbouring images to neighbouring ranks, as evenly as can be, so that an image's place in the batch, which its random
 * masks are drawn for, is known by where its rank's part begins. Where there are fewer images than ranks, rank 0 has one.
 */
export function divisionOf({ rank, size }: Pick<Communicator, 'rank' | 'size'>): Divide {
  const edge = (images: number, rank: number) => Math.ceil((images * rank) / size)
  return (images) => [edge(images, rank), edge(images, rank + 1)]
}

/** This rank's part of a batch that is all here. Where it has none, some of the others' stand in. */
export function partOf(batch: Samples, divide: Divide): Samples {
  const total = batch.labels.length
  const [first, last] = divide(total)
  const counts = last > first
  const [start, end] = counts ? [first, last] : [0, Math.min(STAND_INS, total)]
  return {
    labels: batch.labels.subarray(start, end),
    input: (device, from, to) => batch.input(device, start + from, start + to),
    part: { first, total, counts },
  }
}
