/** The report's tables, as words: for HTML, Markdown and terminals alike. */
import { duration } from '../estimate.ts'
import { ABLATIONS, describeHead } from '../plan.ts'
import type { Results } from '../results.ts'
import type { Compared, Described } from '../statistics.ts'
import { publishedRows } from '../summary.ts'
import { describeNoise } from '../table.ts'

export interface Table {
  title: string
  columns: readonly string[]
  rows: readonly (readonly string[])[]
  /** How to read it. */
  note: string
}

const NONE = '–'

/** `94.15 ± 0.32`: the mean and half the 95 % interval; one seed has none. */
export function withInterval({ mean, interval }: Described, digits = 2): string {
  return interval
    ? `${mean.toFixed(digits)} ± ${((interval[1] - interval[0]) / 2).toFixed(digits)}`
    : mean.toFixed(digits)
}

const orNone = (value: number | null | undefined, digits = 2): string => value?.toFixed(digits) ?? NONE

/** What the intervals of an experiment are, or why there are none. */
export function seedsNote({ runs }: Results): string {
  const seeds = new Set(runs.map(({ spec }) => spec.seed)).size
  return seeds === 1
    ? 'One seed: no interval can be given, and no difference be tested; --seeds gives more.'
    : `± is half a 95 % interval of the mean over ${seeds} seeds (Student's t). All seeds share the base: they differ in the head's first weights, the order of images and the masks.`
}

export function publishedTable(results: Results): Table {
  const rows = publishedRows(results.summary).map(({ trained, evaluated, published, found }) => [
    trained,
    describeNoise(evaluated),
    found ? withInterval(found.acc1) : NONE,
    found ? withInterval(found.acc5) : NONE,
    orNone(found?.acc1.sd),
    orNone(found?.passSd),
    published.acc1.toFixed(2),
    published.acc5.toFixed(2),
  ])
  return {
    title: 'The published table',
    columns: [
      'trained',
      'evaluated',
      'Acc@1',
      'Acc@5',
      'sd, seeds',
      'sd, passes',
      'Acc@1, published',
      'Acc@5, published',
    ],
    rows,
    note: `${seedsNote(results)} “sd, seeds” is between trained heads, “sd, passes” between stochastic passes of one head, both of Acc@1. Published: ImageNet, one seed, best of 20 epochs.`,
  }
}

/** Null where there are no K and D to compare. */
export function differencesTable({ summary: { kMinusD, effects } }: Results): Table | null {
  if (!kMinusD) return null
  const seeds = `${kMinusD.acc1.n} seed${kMinusD.acc1.n === 1 ? '' : 's'}`
  const difference = (compared: Compared) => [withInterval(compared), orNone(compared.pValue, 3)]
  return {
    title: 'K − D at the stochastic pass',
    columns: ['heads', 'change of the head', 'K − D', 'p', 'explains of K − D'],
    rows: [
      ['as published, Acc@1', NONE, ...difference(kMinusD.acc1), NONE],
      ['as published, Acc@5', NONE, ...difference(kMinusD.acc5), NONE],
      ...effects.map(({ ablation, change, difference: left, share }) => [
        `${ABLATIONS[ablation].arch[0]}: ${ABLATIONS[ablation].name}, Acc@1`,
        withInterval(change),
        ...difference(left),
        share === null ? NONE : `${(100 * share).toFixed(0)} %`,
      ]),
    ],
    note: `Points, paired by seed. p: two-sided and exact, the share of all ways to flip the signs of the seeds’ differences that give as large a mean; with ${seeds} it cannot be below ${Math.min(1, 2 / 2 ** kMinusD.acc1.n).toPrecision(2)}. The last column is left empty where the interval of K − D holds 0. Published: +30.744 (Acc@1), +43.010 (Acc@5).`,
  }
}

export function evaluationsTable({ summary: { rows } }: Results): Table {
  return {
    title: 'All evaluations',
    columns: ['trained', 'evaluated', 'seeds', 'Acc@1', 'Acc@5', 'loss', 'ECE, %', 'agreement, %', 'sd, passes'],
    rows: rows.map((row) => [
      describeHead(row),
      describeNoise(row.evaluated),
      String(row.acc1.n),
      withInterval(row.acc1),
      withInterval(row.acc5),
      withInterval(row.loss, 3),
      (100 * row.ece.mean).toFixed(2),
      row.agreement ? (100 * row.agreement.mean).toFixed(2) : NONE,
      orNone(row.passSd),
    ]),
    note: 'ECE: expected calibration error. Agreement: of two stochastic passes of one head.',
  }
}

export function timesTable({ runs, base, settings }: Results): Table {
  const sum = (parts: readonly { seconds: number }[]) => parts.reduce((total, { seconds }) => total + seconds, 0)
  const baseRow = base.seconds === null ? [] : [[`${settings.base}, from zero`, NONE, duration(base.seconds), NONE]]
  return {
    title: 'Run times',
    columns: ['run', 'best epoch', 'training', 'evaluations'],
    rows: [
      ...baseRow,
      ...runs.map(({ spec, bestEpoch, epochs, evaluations }) => [
        spec.id,
        `${bestEpoch + 1} of ${epochs.length}`,
        duration(sum(epochs)),
        duration(sum(evaluations)),
      ]),
    ],
    note: 'The base’s features of all images are computed once for all runs, and not in these times.',
  }
}

export function markdownTable({ columns, rows }: Table): string {
  const line = (cells: readonly string[]) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`
  return [line(columns), line(columns.map(() => '---')), ...rows.map(line)].join('\n')
}

/** Columns as wide as their widest cell. */
export function textTable({ columns, rows }: Table): string {
  const widths = columns.map((name, i) => Math.max(name.length, ...rows.map((row) => row[i].length)))
  return [columns, ...rows]
    .map((cells) =>
      cells
        .map((cell, i) => cell.padEnd(widths[i]))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}
