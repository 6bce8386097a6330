/**
 * A checkpoint is a safetensors file: the model's state under its own names (`base.*`, `exp.*`), what the optimizer
 * keeps under `optimizer.*`, and all else in the metadata, JSON where it is no plain string.
 */
import type { SavedTensor } from './formats/file_tensor.ts'
import { readSafetensors, writeSafetensors } from './formats/safetensors.ts'
import type { Module } from './module.ts'
import { camelCase, snakeCase } from './names.ts'
import type { Optimizer, OptimizerState } from './optim.ts'
import type { SchedulerState, StepLR } from './schedule.ts'

/** How far a run is, and what it is. */
export interface CheckpointInfo {
  /** Torchvision's name of the network under the head; the original research code does not save it. */
  base?: string
  /** Which head was trained. */
  arch: string
  /** Epochs that are done. */
  epoch: number
  /** Steps of the next one that are done: 0 except in the midst of an epoch. */
  step: number
  /** Steps of the whole run that are done. With the seed, all the random state there is. */
  globalStep: number
  /** Undefined in what others saved: the random state is not to be had from them. */
  seed?: number
  /** The best top-1 accuracy in validation so far, in percent. */
  bestAcc1: number
  /** Sums over the epoch so far, for its averages. */
  totals: Record<string, number>
  /** All options of the run. */
  options: object
  /** A name a class. */
  classes?: readonly string[]
}

export interface Checkpoint {
  info: CheckpointInfo & { options: Record<string, unknown> }
  /** For `loadStateDict` of the model, the optimizer and the scheduler. */
  model: Map<string, SavedTensor>
  optimizer: OptimizerState
  scheduler: SchedulerState
}

/** A file is no checkpoint, or of another run than the one that it should go on with. */
export class CheckpointError extends Error {
  override name = 'CheckpointError'
}

/** Random numbers are functions of seed and step, by this generator. */
const GENERATOR = 'threefry4x32-13'

const OPTIMIZER_PREFIX = 'optimizer.'

/**
 * A checkpoint as a safetensors file: pieces to be written one after the other, the header first.
 * @param more to go into the metadata
 */
export function writeCheckpoint(
  { info, model, optimizer, scheduler }: Checkpoint,
  more: Readonly<Record<string, string>> = {},
): Iterable<Uint8Array> {
  const tensors = new Map(model)
  for (const [name, tensor] of optimizer.tensors) tensors.set(OPTIMIZER_PREFIX + name, tensor)
  const { base, arch, globalStep, seed, options, ...counters } = info
  const json = {
    ...counters,
    ...(seed !== undefined && { seed, randomState: { generator: GENERATOR, seed, step: globalStep } }),
    optimizer: rename(snakeCase, { name: optimizer.name, ...optimizer.settings }),
    scheduler: rename(snakeCase, scheduler),
    options: rename(snakeCase, options),
  }
  const metadata: Record<string, string> = { format: 'pt', ...more, ...(base !== undefined && { base }), arch }
  for (const [key, value] of Object.entries(json)) metadata[snakeCase(key)] = JSON.stringify(value)
  return writeSafetensors(tensors, metadata)
}

/** The checkpoint of a run as it is now, as a safetensors file. */
export async function encodeCheckpoint(
  info: CheckpointInfo,
  { model, optimizer, scheduler }: { model: Module; optimizer: Optimizer; scheduler: StepLR },
  more: Readonly<Record<string, string>> = {},
): Promise<Iterable<Uint8Array>> {
  const checkpoint = {
    info: { ...info, options: { ...info.options } },
    model: await model.stateDict(),
    optimizer: await optimizer.stateDict(),
    scheduler: scheduler.stateDict(),
  }
  return writeCheckpoint(checkpoint, more)
}

/**
 * @param bytes of a whole file
 * @throws CheckpointError when the file is no checkpoint; FormatError when it is no safetensors file.
 */
export const decodeCheckpoint = (bytes: Uint8Array): Checkpoint => readCheckpoint(readSafetensors(bytes))

/** Whether a safetensors file is a checkpoint, by what it says of itself. */
export const isCheckpoint = ({ metadata }: { metadata: Metadata }): boolean => 'optimizer' in metadata

/** The checkpoint in a safetensors file. @throws CheckpointError when the file is none. */
export function readCheckpoint(file: { tensors: ReadonlyMap<string, SavedTensor>; metadata: Metadata }): Checkpoint {
  const { tensors, metadata } = file
  const random = 'random_state' in metadata ? object(metadata, 'random_state') : null
  if (random && random.generator !== GENERATOR)
    throw new CheckpointError(`the checkpoint's random numbers are by ${random.generator}, not by ${GENERATOR}`)
  const optimizer = object(metadata, 'optimizer')
  const scheduler = object(metadata, 'scheduler')
  const totals = object(metadata, 'totals')

  const model = new Map<string, SavedTensor>()
  const kept = new Map<string, SavedTensor>()
  for (const [name, tensor] of tensors)
    if (name.startsWith(OPTIMIZER_PREFIX)) kept.set(name.slice(OPTIMIZER_PREFIX.length), tensor)
    else model.set(name, tensor)

  const { name, ...settings } = optimizer
  return {
    info: {
      ...('base' in metadata && { base: text(metadata, 'base') }),
      arch: text(metadata, 'arch'),
      epoch: number('epoch', json(metadata, 'epoch')),
      step: number('step', json(metadata, 'step')),
      globalStep: random ? number('random_state.step', random.step) : 0,
      ...(random && { seed: number('seed', json(metadata, 'seed')) }),
      bestAcc1: number('best_acc1', json(metadata, 'best_acc1')),
      totals: numbers('totals', totals),
      options: object(metadata, 'options'),
      ...('classes' in metadata && { classes: names('classes', json(metadata, 'classes')) }),
    },
    model,
    optimizer: { name: String(name), settings: numbers('optimizer', settings), tensors: kept },
    scheduler: {
      stepSize: number('scheduler.step_size', scheduler.stepSize),
      gamma: number('scheduler.gamma', scheduler.gamma),
      lastEpoch: number('scheduler.last_epoch', scheduler.lastEpoch),
    },
  }
}

type Metadata = Readonly<Record<string, string>>

function text(metadata: Metadata, key: string): string {
  const value = metadata[key]
  if (value === undefined)
    throw new CheckpointError(`the file is no checkpoint of this program: its metadata has no '${key}'`)
  return value
}

function json(metadata: Metadata, key: string): unknown {
  try {
    return JSON.parse(text(metadata, key))
  } catch (error) {
    if (error instanceof CheckpointError) throw error
    throw new CheckpointError(`the checkpoint's '${key}' is not JSON: ${(error as Error).message}`)
  }
}

function object(metadata: Metadata, key: string): Record<string, unknown> {
  const value = json(metadata, key)
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new CheckpointError(`the checkpoint's '${key}' is no object`)
  return rename(camelCase, value)
}

function number(key: string, value: unknown): number {
  // JSON has no NaN and no infinity: it writes null, for the loss of a run that diverged.
  if (value === null) return NaN
  if (typeof value !== 'number') throw new CheckpointError(`the checkpoint's '${key}' is no number`)
  return value
}

function names(key: string, value: unknown): string[] {
  if (!Array.isArray(value) || !value.every((name) => typeof name === 'string'))
    throw new CheckpointError(`the checkpoint's '${key}' is no list of names`)
  return value
}

const numbers = (key: string, values: Record<string, unknown>): Record<string, number> =>
  Object.fromEntries(Object.entries(values).map(([name, value]) => [name, number(`${key}.${name}`, value)]))

const rename = (to: (name: string) => string, values: object): Record<string, unknown> =>
  Object.fromEntries(Object.entries(values).map(([name, value]) => [to(name), value]))
