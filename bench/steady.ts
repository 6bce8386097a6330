/** Whether a long run stays as it is: what it holds and how long its steps take, from its first hundred to its last. */
import { existsSync, readdirSync } from 'node:fs'
import { countTensors, type Device, memoryOf } from '../engine/index.ts'
import { type BatchResult, pipelined } from '../imagenet/index.ts'

/** Steps between two samples. */
export const HUNDRED = 100

/** Steps before the first sample: kernels are compiled and the pool is filled in them, and V8 makes code of what is hot. */
const WARM_UP = 100

export interface Sample {
  /** Steps done. */
  step: number
  /** Bytes of buffers in use and in the pool. */
  gpuBytes: number
  tensors: number
  /** Resident memory of the process, in bytes; on a software adapter its GPU's too. */
  rss: number
  /** Open files; null where the system does not tell. */
  files: number | null
  /** Milliseconds that a step of the last hundred took: the tenth percentile, since what else runs here only adds. */
  stepTime: number
}

/**
 * Runs steps one after the other as training does, a few under way at a time.
 * @param step starts the nth step
 * @param every called each hundred steps, with nothing under way: what runs do now and then, a checkpoint
 */
export async function watchSteps(
  device: Device,
  steps: number,
  step: (n: number) => Promise<BatchResult>,
  every: () => Promise<unknown>,
): Promise<Sample[]> {
  const samples: Sample[] = []
  for (let start = 0; start < WARM_UP + steps; start += HUNDRED) {
    const numbers = Array.from({ length: Math.min(HUNDRED, WARM_UP + steps - start) }, (_, i) => start + i)
    const times: number[] = []
    let before = performance.now()
    for await (const { loss } of pipelined(numbers, step)) {
      if (!Number.isFinite(loss)) throw new Error(`the loss is ${loss}: what is measured is no training`)
      times.push(performance.now() - before)
      before = performance.now()
    }
    await every()
    if (start >= WARM_UP) samples.push(sampleOf(device, start + numbers.length - WARM_UP, times))
  }
  return samples
}

function sampleOf(device: Device, step: number, times: number[]): Sample {
  const { liveBytes, pooledBytes } = memoryOf(device)
  const fds = '/proc/self/fd'
  return {
    step,
    gpuBytes: liveBytes + pooledBytes,
    tensors: countTensors(),
    rss: process.memoryUsage.rss(),
    files: existsSync(fds) ? readdirSync(fds).length : null,
    stepTime: times.sort((a, b) => a - b)[Math.floor(times.length / 10)],
  }
}

/** Of the memory of a process, which its garbage collector lets grow and shrink. */
const RSS_ROOM = 1.1

/** Between the first and the last hundred steps. */
const TIME_ROOM = 1.1

/** What is not flat from the first sample to the last, a sentence each; none if all is. */
export function unsteady(samples: readonly Sample[], { timed = true } = {}): string[] {
  const [first, last] = [samples[0], samples.at(-1)!]
  const found: string[] = []
  for (const name of ['gpuBytes', 'tensors', 'files'] as const)
    if (last[name] !== first[name]) found.push(`${name}: ${first[name]} at first, ${last[name]} at the end`)
  // What the first steps leave to the collector is no growth: the later half against the earlier.
  const half = samples.length >> 1
  const most = (part: readonly Sample[]) => Math.max(...part.map(({ rss }) => rss))
  if (half > 0 && most(samples.slice(half)) > RSS_ROOM * most(samples.slice(0, half)))
    found.push(`rss: ${most(samples.slice(0, half))} in the first half, ${most(samples.slice(half))} in the second`)
  const slower = last.stepTime / first.stepTime
  if (timed && slower > TIME_ROOM) found.push(`stepTime: ${slower.toFixed(2)} times that of the first hundred steps`)
  return found
}
