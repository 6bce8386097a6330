/** What ranks do before a run so that all begin it alike, or none. */
import { UsageError } from '../errors.ts'
import type { Communicator } from './communicator.ts'

/** Wrong use that every rank has heard of: rank 0 reports it, and all end. */
export class CommonRefusal extends UsageError {
  override name = 'CommonRefusal'
}

type Outcome<T> = { value: T } | { refusal: string }

/**
 * Does something on every rank. @returns what it gave, by rank
 * @throws CommonRefusal on all ranks when it is wrong use on one, which is named unless it is so on all
 */
export async function everywhere<T>(comm: Communicator, act: () => T | Promise<T>): Promise<T[]> {
  const own = JSON.stringify(await outcomeOf(act))
  const all = (await comm.gather(own)).map((text): Outcome<T> => JSON.parse(text))
  const at = all.findIndex((outcome) => 'refusal' in outcome)
  if (at === -1) return all.map((outcome) => (outcome as { value: T }).value)
  const { refusal } = all[at] as { refusal: string }
  const common = all.every((outcome) => 'refusal' in outcome && outcome.refusal === refusal)
  throw new CommonRefusal(common ? refusal : `rank ${at} on ${comm.hosts[at]}: ${refusal}`)
}

/** @throws Error that is no wrong use */
async function outcomeOf<T>(act: () => T | Promise<T>): Promise<Outcome<T>> {
  try {
    return { value: await act() }
  } catch (error) {
    if (!(error instanceof UsageError)) throw error
    return { refusal: error.message }
  }
}

/**
 * Holds what ranks were given against what rank 0 was given.
 * @param given JSON values by name
 * @throws CommonRefusal naming the first difference and who has it
 */
export async function refuseDifferences(comm: Communicator, given: Readonly<Record<string, unknown>>): Promise<void> {
  const [first, ...others] = await everywhere(comm, () => given)
  for (const [i, other] of others.entries())
    for (const name of new Set([...Object.keys(first), ...Object.keys(other)])) {
      const [here, there] = [first[name], other[name]].map((value) => JSON.stringify(value) ?? 'nothing')
      const rank = i + 1
      if (here !== there)
        throw new CommonRefusal(
          `rank ${rank} on ${comm.hosts[rank]} has ${there} for ${name}, rank 0 on ${comm.hosts[0]} has ${here}: start all ranks with the same program and options`,
        )
    }
}

/** Does something on rank 0 alone. @returns on all ranks what it gave, by way of JSON @throws CommonRefusal on all ranks */
export async function onFirst<T>(comm: Communicator, act: () => T | Promise<T>): Promise<T> {
  const own = comm.rank === 0 ? JSON.stringify(await outcomeOf(act)) : null
  const text = new TextDecoder().decode(await fromFirst(comm, own === null ? null : new TextEncoder().encode(own)))
  const outcome: Outcome<T> = JSON.parse(text)
  if ('refusal' in outcome) throw new CommonRefusal(outcome.refusal)
  return outcome.value
}

/** Rank 0's bytes on all ranks; the others give null. */
export async function fromFirst(comm: Communicator, bytes: Uint8Array | null): Promise<Uint8Array<ArrayBuffer>> {
  const [length] = await comm.sum(Float64Array.of(bytes?.length ?? 0))
  return comm.broadcast(bytes ? new Uint8Array(bytes) : new Uint8Array(length))
}
