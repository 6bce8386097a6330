/**
 * Holds every variant of every kernel, by name, to the references of test/reference/, on cases that fast-check draws and,
 * where one is wrong, makes smaller. Every buffer is filled with poison before an op gets it: an element that it leaves
 * unwritten, or one beyond a tensor's end that it reads, shows.
 */
import * as fc from 'fast-check'
import { type Device, memoryOf } from '../../engine/index.ts'
import type { Storage } from '../../engine/memory.ts'
import type { Variant } from './variants.ts'

export interface Family<Case = unknown> {
  /** Of the op. */
  name: string
  variants: readonly Variant[]
  cases: fc.Arbitrary<Case>
  /** Runs the op and its gradients. @throws where they differ from the reference */
  check: (drawn: Case) => Promise<void>
  /** Whether a case has numbers that are not finite. */
  spiked: (drawn: Case) => boolean
}

export const family = <Case extends object>(parts: Omit<Family<Case>, 'spiked'>): Family =>
  ({ ...parts, spiked: (drawn: Case) => 'spiked' in drawn && drawn.spiked === true }) as Family

export interface Budget {
  seed: number
  /** How many cases. */
  runs: number
}

/**
 * A NaN as f32 and, either half of it, as f16; far outside everything as u32. Where results are NaN themselves, a number
 * that no case has instead: 1.2e30, and a half of 27000.
 */
const POISON = 0x7fc07fc0
const FINITE_POISON = 0x71727697

/** What a family under a variant gets wrong, and the command that shows it; null where that is nothing. */
export async function fault(device: Device, family: Family, variant: Variant, budget: Budget): Promise<string | null> {
  const property = fc.asyncProperty(family.cases, (drawn) => checkCase(device, family, variant, drawn))
  const result = await fc.check(property, { seed: budget.seed, numRuns: budget.runs })
  if (!result.failed) return null
  const [drawn] = result.counterexample!
  const message = result.errorInstance instanceof Error ? result.errorInstance.message : String(result.errorInstance)
  return `${nameOf(family, variant)}: ${message}\n  npm run fuzz -- --filter '${nameOf(family, variant)}' --case '${JSON.stringify(drawn)}'`
}

export const nameOf = (family: Family, variant: Variant): string => `${family.name} ${variant.name}`

/** @throws where the variant is wrong */
export async function checkCase(device: Device, family: Family, variant: Variant, drawn: unknown): Promise<void> {
  const memory = memoryOf(device)
  const source = poisonOf(device, family.spiked(drawn) ? FINITE_POISON : POISON)
  memory.onTake = ({ buffer, bytes }: Storage) => {
    for (let at = 0; at < bytes; at += SOURCE_BYTES)
      device.copy(source, buffer, Math.min(SOURCE_BYTES, bytes - at), 0, at)
  }
  const back = variant.force(device)
  try {
    await family.check(drawn)
  } finally {
    back()
    memory.onTake = null
  }
}

const SOURCE_BYTES = 2 ** 20
const sources = new WeakMap<Device, Map<number, GPUBuffer>>()

/** A buffer of SOURCE_BYTES of poison. */
function poisonOf(device: Device, word: number): GPUBuffer {
  let known = sources.get(device)
  if (!known) sources.set(device, (known = new Map()))
  let buffer = known.get(word)
  if (!buffer) {
    known.set(word, (buffer = device.createBuffer(SOURCE_BYTES)))
    device.write(buffer, new Uint32Array(SOURCE_BYTES / 4).fill(word))
  }
  return buffer
}
