/** Checkpoints and weights as files. */
import { existsSync, readdirSync, renameSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
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
  ResNet,
  type ResNetName,
  readCheckpoint,
  recognizeResNet,
  type SavedTensor,
  type StepLR,
  writeSafetensors,
} from '../../nn/index.ts'
import { UsageError } from '../errors.ts'
import { linkAtomic, writeFileAtomic } from '../files.ts'
import { isTorchCheckpoint, readTorchCheckpoint } from '../weights/formats/torch_checkpoint.ts'
import { openWeights, type WeightsFile } from '../weights/formats/weights.ts'
import { isWhole, seal, UNSEALED } from '../weights/seal.ts'
import { noTotals, type Totals } from './metrics.ts'
import { OF_THIS_PROCESS, type SettledOptions, type TrainOptions } from './options.ts'

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
 * `readRunCheckpoint`, or where that file is damaged or missing the newest one before it that is whole: then it says so.
 * @throws UsageError when there is none
 */
export async function readNewestCheckpoint(file: string): Promise<RunCheckpoint> {
  const refusals: UsageError[] = []
  for (const candidate of [file, ...earlierThan(file)])
    try {
      const checkpoint = await readRunCheckpoint(candidate)
      if (refusals.length > 0) console.error(`${refusals[0].message}; going on from the one before it, ${candidate}`)
      return checkpoint
    } catch (error) {
      if (!(error instanceof UsageError)) throw error
      refusals.push(error)
    }
  throw refusals[0]
}

/**
 * Opens a checkpoint of this program, as safetensors or .pth, or of the original research code.
 * @throws UsageError when the file cannot be read, is damaged or is no checkpoint.
 */
export async function readRunCheckpoint(file: string): Promise<RunCheckpoint> {
  const weights = await openWeights(file)
  try {
    if (!isWhole(file)) throw new UsageError(`${file}: it is damaged: its checksum is another`)
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
    state: { epoch, step, globalStep, totals: { ...noTotals(), ...totals }, bestAcc1 },
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
 * Writes `Exp_<Base>_<arch>.safetensors` in `folder`, and a copy as `…_best.safetensors` when this is the best so far. The
 * one before it stays as `….1.safetensors`, as many as are kept. Returns the file's path.
 * @throws FileError; then all is as before
 */
export async function saveRunCheckpoint(
  folder: string,
  { state, options, parts, classes, best }: RunContents,
): Promise<string> {
  const { base, arch, seed, keep } = options
  const lasting = Object.fromEntries(Object.entries(options).filter(([name]) => !OF_THIS_PROCESS.has(name)))
  const info: CheckpointInfo = { ...state, totals: { ...state.totals }, base, arch, seed, options: lasting, classes }
  const path = join(folder, checkpointName(options))
  const content = seal(await encodeCheckpoint(info, parts, UNSEALED))
  writeFileAtomic(path, content, {
    beforeRename(temporary) {
      // First, so that a run killed in between comes to it again.
      if (best) linkAtomic(temporary, withSuffix(path, '_best'))
      for (let age = keep - 1; age > 1; age--)
        if (existsSync(aged(path, age - 1))) renameSync(aged(path, age - 1), aged(path, age))
      if (keep > 1 && existsSync(path)) linkAtomic(path, aged(path, 1))
    },
  })
  return path
}

const EXTENSION = '.safetensors'

const withSuffix = (path: string, suffix: string): string => `${path.slice(0, -EXTENSION.length)}${suffix}${EXTENSION}`

/** The checkpoint so many before the newest. */
const aged = (path: string, age: number): string => withSuffix(path, `.${age}`)

/** The checkpoints kept from before `file`, the newest first. */
function earlierThan(file: string): string[] {
  const stem = `${basename(file, EXTENSION)}.`
  if (!existsSync(dirname(file))) return []
  const age = (name: string) =>
    name.startsWith(stem) && name.endsWith(EXTENSION) ? Number(name.slice(stem.length, -EXTENSION.length)) : 0
  const names = readdirSync(dirname(file)).filter((name) => age(name) > 0)
  return names.sort((a, b) => age(a) - age(b)).map((name) => join(dirname(file), name))
}

/** `Exp_ResNet152_Kakuritsu.safetensors`: the original's name, in this project's format. */
export const checkpointName = ({ base, arch }: Pick<TrainOptions, 'base' | 'arch'>): string =>
  `Exp_${base.replace('resne', 'ResNe').replace('ResNext', 'ResNeXt').replace('wide', 'Wide')}_${arch}.safetensors`

/**
 * Loads weights in torchvision's names into a base; those of its last layer, which the base lacks, are left. Close the
 * file when the base is on a device.
 * @throws UsageError when there is no such file or it does not fit
 */
export async function loadBase(base: Module, file: string): Promise<WeightsFile> {
  const weights = await openWeights(file)
  loadBaseFrom(base, weights)
  return weights
}

/** `loadBase` from a file that is open. */
export function loadBaseFrom(base: Module, { file, tensors }: WeightsFile): void {
  refuseMisfits(file, () => (base instanceof ResNet ? loadWeights(base, tensors) : base.loadStateDict(tensors)))
}

/** Writes a module's state as a safetensors file, with a checksum. */
export async function saveWeights(file: string, module: Module): Promise<void> {
  writeFileAtomic(file, seal(writeSafetensors(await module.stateDict(), { format: 'pt', ...UNSEALED })))
}

/** Whatever is wrong with a file's content is wrong use of that file. */
function refuseMisfits<T>(file: string, use: () => T): T {
  try {
    return use()
  } catch (error) {
    throw new UsageError(`${file}: ${(error as Error).message}`)
  }
}
