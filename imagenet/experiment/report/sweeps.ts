/** Figures of p: in evaluation, and in training against evaluation. */
import * as Plot from '@observablehq/plot'
import { describeHead } from '../plan.ts'
import type { Results, SummaryRow } from '../results.ts'
import { type Figure, plotSvg, seriesScales } from './figure.ts'
import { perGroup } from './series.ts'

interface Point {
  head: string
  /** p of evaluation. */
  p: number
  acc1: number
  low: number | null
  high: number | null
  seeds: number
}

/** A row under Kakuritsu noise, or without noise, which is p = 1; null for the others. */
function pointOf(row: SummaryRow): Point | null {
  const { evaluated, acc1 } = row
  if (evaluated.kind === 'dropout') return null
  const [low, high] = acc1.interval ?? [null, null]
  const p = evaluated.kind === 'plain' ? 1 : evaluated.p
  return { head: describeHead(row), p, acc1: acc1.mean, low, high, seeds: acc1.n }
}

export function evaluationFigure(results: Results): Figure {
  const data = results.summary.rows
    .map(pointOf)
    .filter((point) => point !== null)
    .sort((a, b) => a.p - b.p)
  const title = 'Accuracy against the p of evaluation'
  const svg = perGroup(results, (names) => {
    const shown = data.filter(({ head }) => names.includes(head))
    return plotSvg(title, {
      ...seriesScales(names),
      x: { label: 'p in evaluation (1: no noise)', domain: [0, 1] },
      y: { label: 'Acc@1, %', domain: [0, 100] },
      marks: [
        Plot.ruleX(
          shown.filter(({ low }) => low !== null),
          { x: 'p', y1: 'low', y2: 'high', stroke: 'head', strokeOpacity: 0.5, clip: true },
        ),
        Plot.lineY(shown, { x: 'p', y: 'acc1', stroke: 'head', strokeWidth: 2 }),
        Plot.dot(shown, { x: 'p', y: 'acc1', stroke: 'head', fill: 'head', symbol: 'head', r: 3.5 }),
      ],
    })
  })
  const caption =
    'Every head with the synapses of both its layers firing with probability p, rescaled or sharing masks where it was trained so. Bars: 95 % intervals of the mean over seeds.'
  return { id: 'evaluation-p', title, caption, svg, data: data.map((point) => ({ ...point })) }
}

/** The original's heads K, and White: a Kakuritsu head trained at p = 1. Null where there are none. */
export function heatMapFigure({ summary }: Results): Figure | null {
  const data = summary.rows.flatMap((row) => {
    const { variant, head } = row
    const point = variant === 'published' && head.arch !== 'Dropout' ? pointOf(row) : null
    return point ? { ...point, trained: head.arch === 'White' ? 1 : head.p } : []
  })
  if (data.length === 0) return null
  const title = 'p of training × p of evaluation'
  const [least, most] = [Math.min, Math.max].map((pick) => pick(...data.map(({ acc1 }) => acc1)))
  const rows = new Set(data.map(({ trained }) => trained)).size
  const cells = { x: 'p', y: 'trained' }
  // A ramp of one hue, light to dark; numbers are white on the dark half.
  const isDark = (acc1: number) => most > least && (acc1 - least) / (most - least) > 0.5
  const svg = plotSvg(title, {
    height: 60 + 44 * rows,
    marginTop: 8,
    grid: false,
    x: { label: 'p in evaluation', type: 'band', padding: 0 },
    y: { label: 'p in training', type: 'band', padding: 0, reverse: true },
    color: { type: 'linear', range: ['#e3eef9', '#08306b'], domain: [least, most > least ? most : least + 1] },
    marks: [
      Plot.cell(data, { ...cells, fill: 'acc1', inset: 1 }),
      Plot.text(data, {
        ...cells,
        text: ({ acc1 }) => acc1.toFixed(1),
        fill: ({ acc1 }) => (isDark(acc1) ? 'white' : 'black'),
      }),
    ],
  })
  const more = rows < 3 ? ' --ablate p trains at more p.' : ''
  const caption = `Acc@1 in %, mean over seeds. The White head is the one of p = 1 in training.${more}`
  return { id: 'heat-map', title, caption, svg, data }
}
