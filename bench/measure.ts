/**
 * Timing by the wall clock. Machines drift: they share their cores, heat up, change their clock. So works that are to be
 * compared are timed in turn, round after round, back and forth, and a ratio is the median of the rounds' own ratios.
 */
import { type Device, scope } from '../engine/index.ts'

export interface Timing {
  /** Median over the rounds, seconds a run. */
  seconds: number
  /** Seconds a run in each round. */
  rounds: number[]
  /** Half the distance between the quartiles, as a part of the median. */
  spread: number
}

export interface MeasureOptions {
  /** How often each work is timed. */
  rounds: number
  /** How long one timing should last, seconds: a work is repeated until it does. Waiting for the GPU costs up to 1 ms. */
  sample: number
}

/** More would fill the queue with commands before the GPU has done any. */
const MOST_REPEATS = 1000

/** Times works in turn. Each has run before: what is compiled at first use is compiled. */
export async function measure(
  device: Device,
  works: readonly (() => unknown)[],
  { rounds, sample }: MeasureOptions,
): Promise<Timing[]> {
  const repeats: number[] = []
  for (const work of works) {
    const once = await secondsFor(device, work, 1)
    repeats.push(Math.min(Math.max(1, Math.round(sample / once)), MOST_REPEATS))
  }
  const seconds: number[][] = works.map(() => [])
  for (let round = 0; round < rounds; round++) {
    const order = [...works.keys()]
    if (round % 2 === 1) order.reverse()
    for (const i of order) seconds[i].push((await secondsFor(device, works[i], repeats[i])) / repeats[i])
  }
  return seconds.map(timingOf)
}

/** The median of the rounds' ratios. */
export const ratio = (timing: Timing, base: Timing): number =>
  quantile(
    timing.rounds.map((seconds, round) => seconds / base.rounds[round]),
    0.5,
  )

async function secondsFor(device: Device, work: () => unknown, repeats: number): Promise<number> {
  await device.idle()
  const start = performance.now()
  const promises: Promise<unknown>[] = []
  for (let i = 0; i < repeats; i++)
    // A tensor that it returned would outlive the scope.
    scope(() => {
      const result = work()
      if (result instanceof Promise) promises.push(result)
    })
  await device.idle()
  await Promise.all(promises)
  return (performance.now() - start) / 1000
}

/** What rounds of one work, seconds a run each, come to. */
export function timingOf(rounds: number[]): Timing {
  const seconds = quantile(rounds, 0.5)
  return { seconds, rounds, spread: (quantile(rounds, 0.75) - quantile(rounds, 0.25)) / 2 / seconds }
}

/** Linear between the two nearest. */
function quantile(values: readonly number[], at: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  const place = at * (sorted.length - 1)
  const low = Math.floor(place)
  return sorted[low] + (place - low) * (sorted[Math.ceil(place)] - sorted[low])
}
