/** Checkpoints and weights as files. */
import { copyFileSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import {
  type Arch,
  archs,
  type Checkpoint,
  CheckpointError,
  type CheckpointInfo,
  encodeCheckpoint,
  isCheckpoint,
  loadWeights,
  type Module,
  type Optimizer,
  type ResNet,
  type ResNetName,
  readCheckpoint,
  recognizeResNet,
  type SavedTensor,
  type StepLR,
  writeSafetensors,
} from '../nn/index.ts'
import { UsageError } from './errors.ts'
import { writeFileAtomic } from './files.ts'
import { isTorchCheckpoint, readTorchCheckpoint } from './formats/torch_checkpoint.ts'
import { openWeights, type WeightsFile } from './formats/weights.ts'
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
  /** Of the run that saved it; of the original research code's, those that it tells. */
  options: Partial<SettledOptions> & Pick<SettledOptions, 'arch' | 'base'>
  /** Loads the network's state; best before it is on a device, so that nothing is drawn in vain. */
  loadModel(model: Module): void
  loadProgress(optimizer: Optimizer, scheduler: StepLR): void
  /** Call it when all was loaded and is on a device: until then tensors are in the file. */
  close(): void
}

/**
 * Opens a checkpoint of this program, as safetensors or .pth, or of the original research code.
 * @throws UsageError when the file cannot be read or is no checkpoint.
 */
export async function readRunCheckpoint(file: string): Promise<RunCheckpoint> {
  const weights = await openWeights(file)
  try {
    return refuseMisfits(file, () => runCheckpoint(weights))
  } catch (error) {
    weights.close()
    throw error
  }
}

function runCheckpoint(weights: WeightsFile): RunCheckpoint {
  const { file } = weights
  const { info, ...state } = checkpointOf(weights)
  const { epoch, step, globalStep, bestAcc1, totals } = info
  const arch = archs.find((known): known is Arch => known === info.arch)
  if (!arch) throw new CheckpointError(`its arch is '${info.arch}', none of ${archs.join(', ')}`)
  return {
    file,
    state: { epoch, step, globalStep, bestAcc1, totals: { ...noTotals(), ...totals } },
    options: { ...info.options, arch, base: (info.base as ResNetName | undefined) ?? baseOf(state.model) },
    loadModel: (model) => refuseMisfits(file, () => model.loadStateDict(state.model)),
    loadProgress: (optimizer, scheduler) =>
      refuseMisfits(file, () => {
        optimizer.loadStateDict(state.optimizer)
        scheduler.loadStateDict(state.scheduler)
      }),
    close: () => weights.close(),
  }
}

/** The checkpoint in a file of weights. @throws CheckpointError when it is none */
export function checkpointOf(weights: WeightsFile): Checkpoint {
  const { saved, tensors } = weights
  if (!(saved ? isTorchCheckpoint(saved) : isCheckpoint(weights)))
    throw new CheckpointError('it is no checkpoint, since it holds weights only; --pretrained takes those of a base')
  return saved ? readTorchCheckpoint(saved, tensors) : readCheckpoint(weights)
}

/** Which network a checkpoint's base is, where the checkpoint does not say. */
function baseOf(model: ReadonlyMap<string, SavedTensor>): ResNetName {
  const base = [...model].filter(([name]) => name.startsWith(BASE_PREFIX))
  const name = recognizeResNet(new Map(base.map(([name, tensor]) => [name.slice(BASE_PREFIX.length), tensor])))
  if (name) return name
  throw new CheckpointError(`its ${BASE_PREFIX}* are the weights of no ResNet of torchvision`)
}

const BASE_PREFIX = 'base.'

interface RunContents {
  state: RunState
  options: SettledOptions
  parts: RunParts
  /** Names of the classes, by which their numbers can be told later. */
  classes: readonly string[]
  /** Whether it is the best so far. */
  best: boolean
}

/**
 * Writes `Exp_<Base>_<arch>.safetensors` in `folder`, and a copy as `…_best.safetensors` when this is the best so far.
 * Returns the file's path.
 */
export async function saveRunCheckpoint(
  folder: string,
  { state, options, parts, classes, best }: RunContents,
): Promise<string> {
  const { base, arch, seed } = options
  const info: CheckpointInfo = { ...state, totals: { ...state.totals }, base, arch, seed, options, classes }
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

/**
 * Loads weights in torchvision's names into a base; those of its last layer, which the base lacks, are left. Close the
 * file when the base is on a device.
 * @throws UsageError when there is no such file or it does not fit
 */
export async function loadBase(base: ResNet, file: string): Promise<WeightsFile> {
  const weights = await openWeights(file)
  loadBaseFrom(base, weights)
  return weights
}

/** `loadBase` from a file that is open. */
export function loadBaseFrom(base: ResNet, { file, tensors }: WeightsFile): void {
  refuseMisfits(file, () => loadWeights(base, tensors))
}

/** Writes a module's state as a safetensors file. */
export async function saveWeights(file: string, module: Module): Promise<void> {
  writeFileAtomic(file, writeSafetensors(await module.stateDict(), { format: 'pt' }))
}

/** Whatever is wrong with a file's content is wrong use of that file. */
function refuseMisfits<T>(file: string, use: () => T): T {
  try {
    return use()
  } catch (error) {
    throw new UsageError(`${file}: ${(error as Error).message}`)
  }
}
