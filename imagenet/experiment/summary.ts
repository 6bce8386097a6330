/** What the runs of an experiment say together: statistics over seeds, and how much of a difference comes from where. */
import { ABLATIONS, ablations, isReference, noiseKey } from './plan.ts'
import type { Evaluation, RunResult, Summary, SummaryRow } from './results.ts'
import { type Compared, compare, describe } from './statistics.ts'
import { TABLE, type TableRow } from './table.ts'

export function summarize(runs: readonly RunResult[]): Summary {
  const rows = byHead(runs).flatMap(summarizeGroup)
  const specs = runs.map(({ spec }) => spec)
  const [k, d] = (['Kakuritsu', 'Dropout'] as const).map((arch) =>
    runs.filter(({ spec }) => spec.head.arch === arch && isReference(spec, specs)),
  )
  const acc1 = compare(ownAccuracies(k, 'acc1'), ownAccuracies(d, 'acc1'))
  const acc5 = compare(ownAccuracies(k, 'acc5'), ownAccuracies(d, 'acc5'))
  const kMinusD = acc1 && acc5 && { acc1, acc5 }
  const effects = ablations.flatMap((ablation) => {
    const changed = ownAccuracies(
      runs.filter(({ spec }) => spec.variant === ablation),
      'acc1',
    )
    const changesK = ABLATIONS[ablation].arch === 'Kakuritsu'
    const change = compare(changed, ownAccuracies(changesK ? k : d, 'acc1'))
    const difference = changesK
      ? compare(changed, ownAccuracies(d, 'acc1'))
      : compare(ownAccuracies(k, 'acc1'), changed)
    if (!change || !difference) return []
    const share = acc1 && isApartFrom0(acc1) ? 1 - difference.mean / acc1.mean : null
    return [{ ablation, change, difference, share }]
  })
  return { rows, kMinusD, effects }
}

const isApartFrom0 = ({ interval }: Compared): boolean => interval !== null && interval[0] * interval[1] > 0

/** The published table's rows, each with what the runs found, where they have it. */
export function publishedRows({ rows }: Summary): (TableRow & { found: SummaryRow | null })[] {
  return TABLE.map((row) => ({ ...row, found: rows.find((found) => isOfTable(found, row)) ?? null }))
}

const isOfTable = ({ variant, head, evaluated }: Pick<SummaryRow, 'variant' | 'head' | 'evaluated'>, row: TableRow) =>
  variant === 'published' &&
  head.arch === row.trained &&
  (head.arch !== 'Kakuritsu' || head.p === 0.5) &&
  noiseKey(evaluated) === noiseKey(row.evaluated)

/** Of each seed, the accuracy under the noise that the head was trained with. */
function ownAccuracies(runs: readonly RunResult[], metric: 'acc1' | 'acc5'): Map<number, number> {
  return new Map(runs.map((run) => [run.spec.seed, meanOf(ownEvaluation(run), metric)]))
}

export const ownEvaluation = ({ spec, evaluations }: RunResult): Evaluation =>
  evaluations.find(({ noise }) => noiseKey(noise) === noiseKey(spec.evaluations[0].noise))!

export const meanOf = ({ passes }: Evaluation, metric: 'acc1' | 'acc5' | 'loss'): number =>
  passes.reduce((sum, pass) => sum + pass[metric], 0) / passes.length

/** Runs of one kind of head together: they differ in their seeds. */
export function byHead(runs: readonly RunResult[]): RunResult[][] {
  const groups = new Map<string, RunResult[]>()
  for (const run of runs) {
    const key = JSON.stringify([run.spec.variant, run.spec.head])
    groups.set(key, [...(groups.get(key) ?? []), run])
  }
  return [...groups.values()]
}

function summarizeGroup(runs: readonly RunResult[]): SummaryRow[] {
  const { variant, head, evaluations } = runs[0].spec
  return evaluations.map(({ noise: evaluated }, i) => {
    const found = runs.flatMap(({ spec, evaluations }) => {
      const evaluation = evaluations.find(({ noise }) => noiseKey(noise) === noiseKey(evaluated))
      return evaluation ? [{ seed: spec.seed, evaluation }] : []
    })
    const over = (metric: 'acc1' | 'acc5' | 'loss') =>
      describe(found.map(({ evaluation }) => meanOf(evaluation, metric)))
    const agreements = found.flatMap(({ evaluation }) => evaluation.agreement ?? [])
    const row = { variant, head, evaluated, own: i === 0 }
    return {
      ...row,
      seeds: found.map(({ seed }) => seed),
      acc1: over('acc1'),
      acc5: over('acc5'),
      loss: over('loss'),
      ece: describe(found.map(({ evaluation }) => evaluation.calibration.ece)),
      agreement: agreements.length > 0 ? describe(agreements) : null,
      passSd: pooledSd(found.map(({ evaluation }) => evaluation.passes.map(({ acc1 }) => acc1))),
      published: TABLE.find((published) => isOfTable(row, published))?.published ?? null,
    }
  })
}

function pooledSd(groups: readonly number[][]): number | null {
  const variances = groups.flatMap((values) => {
    const { sd } = describe(values)
    return sd === null ? [] : [sd ** 2]
  })
  return variances.length > 0 ? Math.sqrt(describe(variances).mean) : null
}
