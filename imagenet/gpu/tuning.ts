/**
 * Tuning for a run: whether variants of kernels are chosen by measuring them, and the file that remembers the choices,
 * one for each adapter and driver in the user's cache folder.
 */
import { createHash } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import envPaths from 'env-paths'
import { type Choices, type Device, Tuner } from '../../engine/index.ts'
import { UsageError } from '../errors.ts'
import { makeFolder, writeFileAtomic } from '../files.ts'
import { type AdapterDescription, describeAdapter } from './open.ts'

/** Goes up whenever a variant's code changes so much that old choices mislead. */
const VERSION = 1

/** A file larger than this, or of more choices, or with longer ones, is none of ours: ours have some hundred short ones. */
const MOST_BYTES = 2 ** 20
const MOST_CHOICES = 4096
const LONGEST_NAME = 200

export interface Tuning {
  /** As it was started with. */
  readonly repeatable: boolean
  /** Measures what a rehearsal or a step has asked for, and remembers it. Nothing else may use the device meanwhile. */
  settle(): Promise<void>
}

export interface TuningOptions {
  /** Whether results must be the same bits whatever the cache holds: then only choices that cannot matter are made. */
  repeatable: boolean
  /** What KAKURITSU_TUNE is: 0 turns tuning off, 1 on for a software adapter too, where each variant takes long to compile. */
  setting?: string
  /** The cache file. */
  file?: string
}

const tunings = new WeakMap<Device, Tuning>()

/** What `startTuning` gave for a device. */
export const tuningOf = (device: Device): Tuning | null => tunings.get(device) ?? null

/**
 * Tunes a device that `openDevice` gave, unless tuning is off.
 * @throws UsageError when KAKURITSU_TUNE is neither 0 nor 1
 */
export function startTuning(device: Device, options: TuningOptions): Tuning | null {
  const { repeatable, setting = process.env.KAKURITSU_TUNE } = options
  if (setting && setting !== '0' && setting !== '1')
    throw new UsageError(`KAKURITSU_TUNE is 0 (off) or 1 (on, for a software adapter too), given '${setting}'`)
  if (setting === '0' || (!setting && device.software)) return null
  const adapter = describeAdapter(device)
  const { file = tuningFile(adapter) } = options
  const tuner = new Tuner(device, { choices: readChoices(file, adapter), exactOnly: repeatable })
  const tuning: Tuning = {
    repeatable,
    async settle() {
      if (await tuner.settle()) writeChoices(file, adapter, tuner.choices)
    },
  }
  tunings.set(device, tuning)
  return tuning
}

/** `~/.cache/kakuritsu/tuning/nvidia-geforce-rtx-4090-vulkan-550-54-15-1a2b3c4d.json` on Linux. */
export function tuningFile(adapter: AdapterDescription): string {
  const identity = JSON.stringify(identityOf(adapter))
  const words = Object.values(identityOf(adapter)).join('-').toLowerCase()
  const readable = words.replace(/[^a-z0-9]+/g, '-').slice(0, 80)
  const digest = createHash('sha256').update(identity).digest('hex').slice(0, 8)
  return join(envPaths('kakuritsu', { suffix: '' }).cache, 'tuning', `${readable}-${digest}.json`)
}

/** What decides which variant is fast. */
const identityOf = ({ name, backend, driver }: AdapterDescription) => ({ name, backend, driver })

/** The choices in a cache file; none when it is not there, damaged, of another version or of another adapter. */
export function readChoices(file: string, adapter: AdapterDescription): Choices {
  const choices = new Map<string, string>()
  try {
    const stats = statSync(file)
    if (!stats.isFile() || stats.size > MOST_BYTES) return choices
    const cache = JSON.parse(readFileSync(file, 'utf8'))
    if (cache.version !== VERSION || JSON.stringify(cache.adapter) !== JSON.stringify(identityOf(adapter)))
      return choices
    const entries = Object.entries(cache.choices)
    const isName = (value: unknown) => typeof value === 'string' && value.length <= LONGEST_NAME
    if (entries.length > MOST_CHOICES || !entries.flat().every(isName)) return choices
    return new Map(entries as [string, string][])
  } catch {
    return choices // It is measured anew.
  }
}

/** Adds to what other processes have written meanwhile. A folder that cannot be written to costs the next run its time. */
function writeChoices(file: string, adapter: AdapterDescription, choices: Choices): void {
  const all = new Map([...readChoices(file, adapter), ...choices])
  const cache = { version: VERSION, adapter: identityOf(adapter), choices: Object.fromEntries([...all].sort()) }
  try {
    makeFolder(dirname(file))
    writeFileAtomic(file, `${JSON.stringify(cache, null, 2)}\n`)
  } catch {}
}
