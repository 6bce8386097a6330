/** Figures of what a head knows of its own errors: calibration, and agreement between passes. */
import * as Plot from '@observablehq/plot'
import { describeHead } from '../plan.ts'
import type { Evaluation, Results } from '../results.ts'
import { byHead, ownEvaluation } from '../summary.ts'
import { describeNoise } from '../table.ts'
import { type Figure, plotSvg, seriesScales } from './figure.ts'
import { perGroup } from './series.ts'

/** Bins of all seeds' evaluations together. */
function reliability(evaluations: readonly Evaluation[]): { confidence: number; accuracy: number; answers: number }[] {
  const bins = evaluations[0].calibration.bins.map((_, i) => evaluations.map(({ calibration }) => calibration.bins[i]))
  return bins.flatMap((same) => {
    const answers = same.reduce((sum, { count }) => sum + count, 0)
    if (answers === 0) return []
    const mean = (field: 'confidence' | 'accuracy') =>
      same.reduce((sum, bin) => sum + bin.count * bin[field], 0) / answers
    return { confidence: mean('confidence'), accuracy: mean('accuracy'), answers }
  })
}

/** The ways to evaluate that every head has: its own noise, and none. */
const WAYS = [
  { way: 'own noise', of: ownEvaluation },
  {
    way: 'without noise',
    of: ({ evaluations }: Results['runs'][number]) => evaluations.find(({ noise }) => noise.kind === 'plain')!,
  },
]

export function reliabilityFigure(results: Results): Figure {
  const data = byHead(results.runs).flatMap((runs) =>
    WAYS.flatMap(({ way, of }) =>
      reliability(runs.map(of)).map((bin) => ({ head: describeHead(runs[0].spec), evaluated: way, ...bin })),
    ),
  )
  const svg = perGroup(results, (names) =>
    WAYS.map(({ way }) => {
      const shown = data.filter(({ evaluated, head }) => evaluated === way && names.includes(head))
      return plotSvg(`reliability, ${way}`, {
        ...seriesScales(names),
        width: 380,
        height: 370,
        x: { label: `confidence, ${way}`, domain: [0, 1] },
        y: { label: 'accuracy', domain: [0, 1] },
        marks: [
          Plot.line(DIAGONAL, { stroke: 'currentColor', strokeDasharray: '4 3', strokeOpacity: 0.6 }),
          Plot.lineY(shown, { x: 'confidence', y: 'accuracy', stroke: 'head', strokeWidth: 1.5 }),
          Plot.dot(shown, { x: 'confidence', y: 'accuracy', stroke: 'head', fill: 'head', symbol: 'head', r: 3 }),
        ],
      })
    }).join(''),
  )
  const caption =
    'Reliability: of the answers given with a confidence, how many are right; on the dashed line, as many as the confidence says. 15 bins, all seeds and passes together. Expected calibration errors are in the table of all evaluations.'
  return { id: 'calibration', title: 'Calibration', caption, svg, data }
}

const DIAGONAL: [number, number][] = [
  [0, 0],
  [1, 1],
]

/** Null where no evaluation has several passes. */
export function agreementFigure({ summary }: Results): Figure | null {
  const data = summary.rows.flatMap((row) => {
    if (!row.agreement) return []
    const { mean, interval } = row.agreement
    const name = `${describeHead(row)} → ${row.own ? 'own noise' : describeNoise(row.evaluated)}`
    const [low, high] = interval?.map((end) => 100 * end) ?? [null, null]
    return { evaluation: name, agreement: 100 * mean, low, high, acc1: row.acc1.mean, seeds: row.acc1.n }
  })
  if (data.length === 0) return null
  const title = 'Agreement between passes'
  const svg = plotSvg(title, {
    height: 50 + 24 * data.length,
    marginLeft: 12 + 6.4 * Math.max(...data.map(({ evaluation }) => evaluation.length)),
    marginTop: 4,
    x: { label: '% (dot: agreement; line: Acc@1)', domain: [0, 100] },
    y: { label: null, domain: data.map(({ evaluation }) => evaluation) },
    marks: [
      Plot.link(
        data.filter(({ low }) => low !== null),
        { x1: 'low', x2: 'high', y1: 'evaluation', y2: 'evaluation', stroke: 'var(--c0)', clip: true },
      ),
      Plot.dot(data, { x: 'agreement', y: 'evaluation', fill: 'var(--c0)', r: 4 }),
      Plot.tickX(data, { x: 'acc1', y: 'evaluation', stroke: 'currentColor', inset: 4 }),
    ],
  })
  const caption =
    'The chance that two stochastic passes of one trained head give an image the same answer. Bars: 95 % intervals over seeds.'
  return { id: 'agreement', title, caption, svg, data }
}
