/** A run's weights and progress as files. */
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs'
import { dirname } from 'node:path'
import { GpuError } from '../../engine/index.ts'
import {
  decodeCheckpoint,
  encodeCheckpoint,
  type Head,
  readSafetensors,
  type SavedTensor,
  type SGD,
  type StepLR,
  writeSafetensors,
} from '../../nn/index.ts'
import { writeFileAtomic } from '../files.ts'
import { isWhole, seal, UNSEALED } from '../weights/seal.ts'
import type { ExperimentFolder } from './folder.ts'
import type { RunSpec } from './plan.ts'
import type { EpochRecord } from './results.ts'
import type { Study } from './study.ts'

type State = ReadonlyMap<string, SavedTensor>

/** The epoch of the best Acc@1, the earliest of equal ones. */
export const bestOf = (records: readonly EpochRecord[]): EpochRecord =>
  records.reduce((best, record) => (record.val.acc1 > best.val.acc1 ? record : best))

/** What a run has saved is not what it saved. */
export class DamagedState extends Error {
  override name = 'DamagedState'
}

/** The weights of a run's best epoch. @throws DamagedState */
export const readHead = (folder: ExperimentFolder, spec: RunSpec): State =>
  readSealed(folder.runFile(spec, 'best.safetensors'), (content) => readSafetensors(content).tensors)

/** What `use` makes of a file. @throws DamagedState when it is not as it was sealed, or `use` throws */
function readSealed<T>(file: string, use: (content: Uint8Array) => T): T {
  if (!existsSync(file)) throw new DamagedState(`${file} is missing`)
  if (!isWhole(file)) throw new DamagedState(`${file} is damaged: its checksum is another`)
  const content = readFileSync(file)
  try {
    return use(content)
  } catch (error) {
    if (error instanceof GpuError || error instanceof DamagedState) throw error
    throw new DamagedState(`${file} is damaged: ${(error as Error).message}`)
  }
}

/**
 * What a run needs to go on: `state.safetensors`, a checkpoint that holds the epochs so far, and `best.safetensors`. A
 * process that ends between the two leaves a best of an epoch that the state does not know yet; that epoch is then
 * trained again, to the same bits.
 */
export class SavedProgress {
  /** Of the best epoch so far. */
  best: State = new Map()
  readonly #study: Study
  readonly #spec: RunSpec
  readonly #parts: { model: Head; optimizer: SGD; scheduler: StepLR }
  readonly #file: string

  constructor(study: Study, spec: RunSpec, parts: { model: Head; optimizer: SGD; scheduler: StepLR }) {
    this.#study = study
    this.#spec = spec
    this.#parts = parts
    this.#file = study.folder.runFile(spec, 'state.safetensors')
  }

  /**
   * Takes up what `save` left; the epochs that are done, none when there is nothing.
   * @throws DamagedState, some of it taken up perhaps
   */
  load(): EpochRecord[] {
    if (!existsSync(this.#file)) return []
    return readSealed(this.#file, (content) => {
      const { info, model, optimizer, scheduler } = decodeCheckpoint(content)
      this.best = readHead(this.#study.folder, this.#spec)
      this.#parts.model.loadStateDict(model)
      this.#parts.optimizer.loadStateDict(optimizer)
      this.#parts.scheduler.loadStateDict(scheduler)
      return info.options.records as EpochRecord[]
    })
  }

  /** Returns the path of the state. */
  async save(records: readonly EpochRecord[]): Promise<string> {
    this.#saveBest()
    const { settings, features } = this.#study
    const { head, seed } = this.#spec
    const epoch = records.length
    const info = {
      base: settings.base,
      arch: head.arch,
      seed,
      epoch,
      step: 0,
      globalStep: epoch * features.train.steps,
      bestAcc1: bestOf(records).val.acc1,
      totals: {},
      options: { records },
    }
    writeFileAtomic(this.#file, seal(await encodeCheckpoint(info, this.#parts, UNSEALED)))
    return this.#file
  }

  /** Of a trained head, the weights stay. */
  finish(): void {
    this.#saveBest()
    rmSync(this.#file, { force: true })
  }

  #saveBest(): void {
    const file = this.#study.folder.runFile(this.#spec, 'best.safetensors')
    mkdirSync(dirname(file), { recursive: true })
    writeFileAtomic(file, seal(writeSafetensors(this.best, { format: 'pt', ...UNSEALED })))
  }
}
