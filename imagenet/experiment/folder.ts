/** An experiment's folder: what is in it, and whether it is this experiment's. */
import { existsSync, readFileSync, rmSync } from 'node:fs'
import { basename, join, resolve } from 'node:path'
import { UsageError } from '../errors.ts'
import { makeFolder, writeFileAtomic } from '../files.ts'
import { noiseKey, type RunSpec } from './plan.ts'
import type { BaseResult, RunResult } from './results.ts'
import type { Settings } from './settings.ts'

/**
 *     experiment.json        settings, plan and command
 *     base.json              of the base: `BaseResult`; its weights beside it where they were trained here
 *     runs/<id>/result.json  of a run: `RunResult`; best.safetensors, and while it trains state.safetensors, beside it
 *     results.json           all of it; table.md, report.html and data/*.csv are made from it
 */
export class ExperimentFolder {
  readonly path: string

  constructor(path: string) {
    this.path = path
  }

  get name(): string {
    return basename(resolve(this.path))
  }

  file(...names: string[]): string {
    return join(this.path, ...names)
  }

  runFile(spec: RunSpec, name: string): string {
    return this.file('runs', spec.id, name)
  }

  /**
   * Makes the folder this experiment's: notes settings, plan and command. Runs of earlier plans stay in the plan.
   * @throws UsageError when it is another's already
   */
  begin(settings: Settings, plan: readonly RunSpec[], command: string): void {
    const earlier = this.experiment()
    const before = earlier?.settings
    const changed = before && (Object.keys(settings) as (keyof Settings)[]).find((key) => before[key] !== settings[key])
    if (changed)
      throw new UsageError(
        `${this.path} holds an experiment with ${changed} ${before[changed]}, this one has ${settings[changed]}: give another --output, or remove that folder`,
      )
    makeFolder(this.path)
    const ids = new Set(plan.map(({ id }) => id))
    const others = earlier?.plan.filter(({ id }) => !ids.has(id)) ?? []
    this.#write(this.file('experiment.json'), { settings, command, plan: [...others, ...plan] })
  }

  /** What `begin` noted; null where there is no experiment. @throws UsageError when the file is damaged */
  experiment(): { settings: Settings; command: string; plan: RunSpec[] } | null {
    const isRun = (run: Partial<RunSpec> | null) => typeof run?.id === 'string' && /^[\w.-]+$/.test(run.id)
    return this.#read<{ settings: Settings; command: string; plan: RunSpec[] }>(
      this.file('experiment.json'),
      ({ settings, plan }) => isObject(settings) && Array.isArray(plan) && plan.every(isRun),
    )
  }

  base(): BaseResult | null {
    return this.#read(this.file('base.json'))
  }

  saveBase(base: BaseResult): void {
    this.#write(this.file('base.json'), base)
  }

  /** What a run has found so far; null before it is trained. */
  result(spec: RunSpec): RunResult | null {
    return this.#read<RunResult>(
      this.runFile(spec, 'result.json'),
      (result) => Array.isArray(result.evaluations) && result.evaluations.every(isObject) && isObject(result.spec),
    )
  }

  /** Returns the file's path. */
  saveResult(result: RunResult): string {
    const file = this.runFile(result.spec, 'result.json')
    makeFolder(this.file('runs', result.spec.id))
    this.#write(file, result)
    return file
  }

  /** The file that a run would go on from; null before it has saved one. */
  saved(spec: RunSpec): string | null {
    const files = ['result.json', 'state.safetensors'].map((name) => this.runFile(spec, name))
    return files.find((file) => existsSync(file)) ?? null
  }

  /** Removes all that a run would go on from. */
  forget(spec: RunSpec): void {
    for (const name of ['result.json', 'state.safetensors', 'best.safetensors'])
      rmSync(this.runFile(spec, name), { force: true })
  }

  /** The message of a run's last failure; null when it did not fail. */
  failure(spec: RunSpec): string | null {
    return this.#read<{ error: string }>(this.runFile(spec, 'failed.json'))?.error ?? null
  }

  /** @param error null once the run has not failed */
  noteFailure(spec: RunSpec, error: string | null): void {
    const file = this.runFile(spec, 'failed.json')
    if (error === null) rmSync(file, { force: true })
    else {
      makeFolder(this.file('runs', spec.id))
      this.#write(file, { error })
    }
  }

  #write(file: string, content: object): void {
    writeFileAtomic(file, `${JSON.stringify(content, null, 1)}\n`)
  }

  /** @param fits whether an object is what the file should hold, as far as its readers rely on it */
  #read<T extends object>(file: string, fits: (content: Partial<T>) => boolean = () => true): T | null {
    if (!existsSync(file)) return null
    try {
      const content: unknown = JSON.parse(readFileSync(file, 'utf8'))
      if (!isObject(content) || !fits(content as Partial<T>)) throw new Error('it holds something else')
      return content as T
    } catch (error) {
      throw new UsageError(`${file} cannot be read (${(error as Error).message}): remove it to make it anew`)
    }
  }
}

const isObject = (value: unknown): value is object => typeof value === 'object' && value !== null

/** The evaluations that a run still lacks: all of them, before it is trained. */
export function missingEvaluations(spec: RunSpec, result: RunResult | null): RunSpec['evaluations'] {
  const done = new Map(result?.evaluations.map(({ noise, passes }) => [noiseKey(noise), passes.length]))
  return spec.evaluations.filter(({ noise, passes }) => (done.get(noiseKey(noise)) ?? 0) < passes)
}
