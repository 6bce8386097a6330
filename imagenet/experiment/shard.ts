/** An experiment's runs divided over processes, and their results brought together. */
import { copyFileSync, existsSync, mkdirSync } from 'node:fs'
import { UsageError } from '../errors.ts'
import { ExperimentFolder, missingEvaluations } from './folder.ts'
import type { RunSpec } from './plan.ts'

/** Which of several processes this is. */
export interface Shard {
  /** From 0. */
  index: number
  of: number
}

/** `0/4`, the first of four, to `3/4`. @throws UsageError */
export function parseShard(text: string): Shard {
  const { index, of } = text.match(/^(?<index>\d+)\/(?<of>\d+)$/)?.groups ?? {}
  if (index === undefined || Number(index) >= Number(of))
    throw new UsageError(`--shard takes I/N, I from 0 to N - 1, as in 0/4 to 3/4; given '${text}'`)
  return { index: Number(index), of: Number(of) }
}

/** The runs of a plan that are a shard's, in turn, so that each shard has some of every kind of head. */
export const runsOf = ({ index, of }: Shard, plan: readonly RunSpec[]): RunSpec[] =>
  plan.filter((_, i) => i % of === index)

/**
 * Takes over what runs of the same experiment have left in other folders, for shards that share none.
 * @returns how many runs were taken
 * @throws UsageError when a folder holds no experiment, or another one
 */
export function mergeRuns(into: ExperimentFolder, plan: readonly RunSpec[], folders: readonly string[]): number {
  const settings = JSON.stringify(into.experiment()?.settings)
  let taken = 0
  for (const path of folders) {
    const from = new ExperimentFolder(path)
    const theirs = from.experiment()
    if (!theirs) throw new UsageError(`--merge ${path}: that folder holds no experiment`)
    if (JSON.stringify(theirs.settings) !== settings)
      throw new UsageError(`--merge ${path}: that experiment has other settings than the one in ${into.path}`)
    for (const spec of plan) {
      const result = from.result(spec)
      if (!result || missingEvaluations(spec, into.result(spec)).length === 0) continue
      mkdirSync(into.file('runs', spec.id), { recursive: true })
      const weights = from.runFile(spec, 'best.safetensors')
      if (existsSync(weights)) copyFileSync(weights, into.runFile(spec, 'best.safetensors'))
      into.saveResult({ ...result, spec }) // not under a name that their file gives
      taken++
    }
  }
  return taken
}
