/**
 * Which variant of a kernel: one choice for each op and bucket of shapes, from a short measurement at its first use.
 *
 * An op that has variants asks `choose`. Where nobody tunes, which is what a device starts with, the answer is the
 * standard variant. Where somebody does (`new Tuner(device)`), a choice that is not known yet is noted, and is the
 * standard one until `settle` has measured it. What is known is a map of strings, for whoever keeps it.
 */
import type { Device } from './device.ts'
import { Profiler } from './profile.ts'

export interface Choice<V extends string = string> {
  /** The op and the bucket of its shapes: `gemm 4096 64 576`. */
  key: string
  variants: readonly V[]
  /** The variant to take while nothing else is known. */
  standard: V
  /** Whether all variants give the same bits. */
  exact: boolean
  /** Runs a variant on operands of these shapes, whatever they contain. It must hold no tensor. */
  trial: (variant: V) => void
}

/** Variants by key. */
export type Choices = ReadonlyMap<string, string>

/** Milliseconds that the GPU takes for what `run` dispatches, and nobody else meanwhile. */
export type Stopwatch = (device: Device, run: () => void) => Promise<number>

export interface TunerOptions {
  /** What is known from before. Names that an op does not know are measured anew. */
  choices?: Choices
  /** Leave alone the choices that could change how results are rounded. */
  exactOnly?: boolean
  /** The GPU's own clock where there is one, unless given. */
  time?: Stopwatch
}

/** Times of each variant that the median is taken of; the variants take turns, so that a busy moment hits all. */
const ROUNDS = 5

/** Milliseconds that one timing should last: long beside the clock's grain (0.1 ms, Dawn's), short beside a run. */
const TIMING_MS = 2

/** Repetitions of one variant in a timing, at most: what fits into one command buffer. */
const MOST_REPEATS = 64

/** A variant that takes this many times the fastest one's first timing is out. */
const HOPELESS = 2

/** A variant must take less than this share of the standard one's time to replace it: less is noise. */
const WORTHWHILE = 0.95

const tuners = new WeakMap<Device, Tuner>()

export class Tuner {
  readonly #device: Device
  readonly #choices: Map<string, string>
  readonly #exactOnly: boolean
  readonly #time: Stopwatch
  #open = new Map<string, Choice>()

  /** Tunes a device from now on, in place of the tuner before. */
  constructor(device: Device, { choices = new Map(), exactOnly = false, time = gpuTime }: TunerOptions = {}) {
    this.#device = device
    this.#choices = new Map(choices)
    this.#exactOnly = exactOnly
    this.#time = time
    tuners.set(device, this)
  }

  /** All that is known. */
  get choices(): Choices {
    return this.#choices
  }

  /** What `choose` answers on this tuner's device. */
  choose<V extends string>(choice: Choice<V>): V {
    const { key, variants, standard, exact } = choice
    if (variants.length < 2 || (this.#exactOnly && !exact)) return standard
    const known = variants.find((name) => name === this.#choices.get(key))
    if (known === undefined) this.#open.set(key, choice as unknown as Choice)
    return known ?? standard
  }

  /**
   * Measures what has been asked for and is not known. Nothing else may use the device meanwhile.
   * @returns how many choices are new
   */
  async settle(): Promise<number> {
    const open = this.#open
    this.#open = new Map()
    for (const [key, choice] of open) this.#choices.set(key, await this.#fastest(choice))
    return open.size
  }

  /** Ends tuning: the standard variants are taken again. */
  stop(): void {
    if (tuners.get(this.#device) === this) tuners.delete(this.#device)
  }

  async #fastest({ variants, standard, trial }: Choice): Promise<string> {
    const runs = new Map<string, { repeats: number; times: number[] }>()
    for (const variant of variants) {
      trial(variant) // compiles it, and fills the caches that the others will find filled
      const once = await this.#time(this.#device, () => trial(variant))
      const repeats = Math.min(MOST_REPEATS, Math.max(1, Math.ceil(TIMING_MS / once)))
      runs.set(variant, { repeats, times: [once] })
    }
    const first = Math.min(...[...runs.values()].map(({ times }) => times[0]))
    for (const [variant, { times }] of runs)
      if (times[0] > HOPELESS * first && variant !== standard) runs.delete(variant)
    for (let round = 0; round < ROUNDS; round++)
      for (const [variant, { repeats, times }] of runs) {
        const run = () => {
          for (let i = 0; i < repeats; i++) trial(variant)
        }
        times.push((await this.#time(this.#device, run)) / repeats)
      }
    const times = new Map([...runs].map(([variant, { times }]) => [variant, median(times.slice(1))]))
    const [best, time] = [...times].reduce((a, b) => (b[1] < a[1] ? b : a))
    return time < WORTHWHILE * times.get(standard)! ? best : standard
  }
}

/** The variant to take on a device; notes an unknown one for whoever tunes the device. */
export const choose = <V extends string>(device: Device, choice: Choice<V>): V =>
  tuners.get(device)?.choose(choice) ?? choice.standard

/** A size as keys have it: the nearest power of two, so that like shapes share a choice. */
export const bucket = (size: number): number => 2 ** Math.round(Math.log2(Math.max(1, size)))

/** Timestamp queries where the adapter has them and nobody else is using them, the CPU's clock otherwise. */
async function gpuTime(device: Device, run: () => void): Promise<number> {
  if (device.features.has('timestamp-query') && !device.timer) {
    const profiler = new Profiler(device)
    run()
    const spans = await profiler.stop()
    return spans.reduce((sum, { duration }) => sum + duration, 0) / 1000
  }
  await device.idle()
  const start = performance.now()
  run()
  await device.idle()
  return performance.now() - start
}

const median = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[values.length >> 1]
