/** A run's weights and progress as files. */
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs'
import { dirname } from 'node:path'
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
import { UsageError } from '../errors.ts'
import { writeFileAtomic } from '../files.ts'
import type { ExperimentFolder } from './folder.ts'
import type { RunSpec } from './plan.ts'
import type { EpochRecord } from './results.ts'
import type { Study } from './study.ts'

type State = ReadonlyMap<string, SavedTensor>

/** The epoch of the best Acc@1, the earliest of equal ones. */
export const bestOf = (records: readonly EpochRecord[]): EpochRecord =>
  records.reduce((best, record) => (record.val.acc1 > best.val.acc1 ? record : best))

/** The weights of a run's best epoch. @throws UsageError when they are not there */
export function readHead(folder: ExperimentFolder, spec: RunSpec): State {
  const file = folder.runFile(spec, 'best.safetensors')
  if (!existsSync(file)) throw new UsageError(`${file} is missing: remove ${dirname(file)} to train it anew`)
  return readSafetensors(readFileSync(file)).tensors
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
   * @throws UsageError when it is damaged
   */
  load(): EpochRecord[] {
    if (!existsSync(this.#file)) return []
    try {
      const { info, model, optimizer, scheduler } = decodeCheckpoint(readFileSync(this.#file))
      this.best = readHead(this.#study.folder, this.#spec)
      this.#parts.model.loadStateDict(model)
      this.#parts.optimizer.loadStateDict(optimizer)
      this.#parts.scheduler.loadStateDict(scheduler)
      return info.options.records as EpochRecord[]
    } catch (error) {
      throw new UsageError(`${this.#file}: ${(error as Error).message}; remove it to train this head anew`)
    }
  }

  async save(records: readonly EpochRecord[]): Promise<void> {
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
    writeFileAtomic(this.#file, await encodeCheckpoint(info, this.#parts))
  }

  /** Of a trained head, the weights stay. */
  finish(): void {
    this.#saveBest()
    rmSync(this.#file, { force: true })
  }

  #saveBest(): void {
    const file = this.#study.folder.runFile(this.#spec, 'best.safetensors')
    mkdirSync(dirname(file), { recursive: true })
    writeFileAtomic(file, writeSafetensors(this.best, { format: 'pt' }))
  }
}
