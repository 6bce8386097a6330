/** Checkpoints and weights as files. */
import { copyFileSync, readFileSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import {
  type CheckpointInfo,
  decodeCheckpoint,
  encodeCheckpoint,
  type Module,
  type Optimizer,
  type ResNet,
  readSafetensors,
  type StepLR,
  writeSafetensors,
} from '../nn/index.ts'
import { UsageError } from './errors.ts'
import { writeFileAtomic } from './files.ts'
import { noTotals, type Totals } from './metrics.ts'
import type { SettledOptions, TrainOptions } from './options.ts'

/** How far a run is: what a checkpoint restores beside tensors. */
export interface RunState {
  epoch: number
  /** Batches of the epoch that are done. */
  step: number
  /** Optimisation steps since the run began: the position of its random masks. */
  globalStep: number
  /** Of the epoch so far. */
  totals: Totals
  /** Percent. */
  bestAcc1: number
}

/** What makes up a run's state on the GPU. */
export interface RunParts {
  model: Module
  optimizer: Optimizer
  scheduler: StepLR
}

export interface RunCheckpoint {
  file: string
  state: RunState
  /** Of the run that saved it. */
  options: SettledOptions
  /** Loads the network's state; best before it is on a device, so that nothing is drawn in vain. */
  loadModel(model: Module): void
  loadProgress(optimizer: Optimizer, scheduler: StepLR): void
}

/** @throws UsageError when the file cannot be read or is no checkpoint. */
export function readRunCheckpoint(file: string): RunCheckpoint {
  const { info, ...state } = readOrRefuse(file, decodeCheckpoint)
  const { epoch, step, globalStep, bestAcc1, totals } = info
  return {
    file,
    state: { epoch, step, globalStep, bestAcc1, totals: { ...noTotals(), ...totals } },
    options: info.options as unknown as SettledOptions,
    loadModel: (model) => refuseMisfits(file, () => model.loadStateDict(state.model)),
    loadProgress: (optimizer, scheduler) =>
      refuseMisfits(file, () => {
        optimizer.loadStateDict(state.optimizer)
        scheduler.loadStateDict(state.scheduler)
      }),
  }
}

/**
 * Writes `Exp_<Base>_<arch>.safetensors` in `folder`, and a copy as `…_best.safetensors` when this is the best so far.
 * Returns the file's path.
 */
export async function saveRunCheckpoint(
  folder: string,
  { state, options, parts, best }: { state: RunState; options: SettledOptions; parts: RunParts; best: boolean },
): Promise<string> {
  const { base, arch, seed } = options
  const info: CheckpointInfo = { ...state, totals: { ...state.totals }, base, arch, seed, options }
  const path = join(folder, checkpointName(options))
  writeFileAtomic(path, await encodeCheckpoint(info, parts))
  if (best) {
    const bestPath = path.replace(/\.safetensors$/, '_best.safetensors')
    copyFileSync(path, `${bestPath}.tmp`)
    renameSync(`${bestPath}.tmp`, bestPath)
  }
  return path
}

/** `Exp_ResNet152_Kakuritsu.safetensors`: the original's name, in this project's format. */
export const checkpointName = ({ base, arch }: Pick<TrainOptions, 'base' | 'arch'>): string =>
  `Exp_${base.replace('resne', 'ResNe').replace('ResNext', 'ResNeXt').replace('wide', 'Wide')}_${arch}.safetensors`

/** Loads weights in torchvision's names into a base; those of its last layer, which the base lacks, are left. */
export function loadBase(base: ResNet, file: string): void {
  const { tensors } = readOrRefuse(file, readSafetensors)
  for (const name of ['fc.weight', 'fc.bias']) tensors.delete(name)
  refuseMisfits(file, () => base.loadStateDict(tensors))
}

/** Writes a module's state as a safetensors file. */
export async function saveWeights(file: string, module: Module): Promise<void> {
  writeFileAtomic(file, writeSafetensors(await module.stateDict(), { format: 'pt' }))
}

function readOrRefuse<T>(file: string, decode: (bytes: Uint8Array) => T): T {
  let bytes: Uint8Array
  try {
    bytes = readFileSync(file)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    throw new UsageError(code === 'ENOENT' ? `there is no file ${file}` : `cannot read ${file} (${code})`)
  }
  return refuseMisfits(file, () => decode(bytes))
}

/** Whatever is wrong with a file's content is wrong use of that file. */
function refuseMisfits<T>(file: string, use: () => T): T {
  try {
    return use()
  } catch (error) {
    throw new UsageError(`${file}: ${(error as Error).message}`)
  }
}
