/** A model's state leaves, and comes back: names, shapes and dtypes are checked here. */
import { show } from '../engine/errors.ts'
import type { SavedTensor } from './formats/file_tensor.ts'
import type { Stored } from './variable.ts'

export interface LoadOptions {
  /** Whether the names must be exactly those of the model; true unless given. */
  strict?: boolean
}

export interface LoadResult {
  /** Names of the model that the state does not have; they keep their values. */
  missing: string[]
  /** Names of the state that the model does not have. */
  unexpected: string[]
}

/** A state does not fit a model; the message names the entries. */
export class StateError extends Error {
  override name = 'StateError'
}

/** Tensors read back at a time: enough to hide the way to the GPU, few enough to need little memory for copies. */
const READS_AT_A_TIME = 32

export async function saveState(
  named: Iterable<readonly [name: string, stored: Stored]>,
): Promise<Map<string, SavedTensor>> {
  const entries = [...named]
  const state = new Map<string, SavedTensor>()
  for (let i = 0; i < entries.length; i += READS_AT_A_TIME) {
    const some = entries.slice(i, i + READS_AT_A_TIME)
    const saved = await Promise.all(some.map(([, stored]) => stored.save()))
    for (const [k, [name]] of some.entries()) state.set(name, saved[k])
  }
  return state
}

/**
 * Loads each entry of `state` into what has its name. Checks all before it changes any.
 * @param owner what the state is for, in the message
 * @throws StateError
 */
export function loadState(
  owner: string,
  named: Iterable<readonly [name: string, stored: Stored]>,
  state: ReadonlyMap<string, SavedTensor>,
  { strict = true }: LoadOptions = {},
): LoadResult {
  const wanted = new Map(named)
  const missing = [...wanted.keys()].filter((name) => !state.has(name))
  const unexpected = [...state.keys()].filter((name) => !wanted.has(name))
  const faults: string[] = []
  if (strict) {
    // PyTorch before 0.4.1 did not count batches, and later versions load its files: the count stays what it is.
    const needed = missing.filter((name) => !name.endsWith('num_batches_tracked'))
    if (needed.length > 0) faults.push(`it lacks ${list(needed)}`)
    if (unexpected.length > 0) faults.push(`it has ${list(unexpected)}, which the model does not have`)
  }
  const found = [...wanted].filter(([name]) => state.has(name))
  const wrong = found.flatMap(([name, stored]) => misfit(name, state.get(name)!, stored))
  if (wrong.length > 0) faults.push(list(wrong))
  if (faults.length > 0) throw new StateError(`the state does not fit ${owner}: ${faults.join('; ')}`)
  for (const [name, stored] of found) stored.load(state.get(name)!)
  return { missing, unexpected }
}

/** What is wrong with an entry: one sentence, or none. */
function misfit(name: string, { dtype, shape }: SavedTensor, { savedShape, savedDtypes }: Stored): string[] {
  if (show(shape) !== show(savedShape)) return [`${name} is ${show(shape)}, the model wants ${show(savedShape)}`]
  if (!savedDtypes.includes(dtype)) return [`${name} is ${dtype}, the model wants ${savedDtypes.join(', ')}`]
  return []
}

/** As many names as a message can bear. */
const NAMES_SHOWN = 4

function list(names: readonly string[]): string {
  const rest = names.length - NAMES_SHOWN
  return names.slice(0, NAMES_SHOWN).join(', ') + (rest > 0 ? ` and ${rest} more` : '')
}
