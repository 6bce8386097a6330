/** Figures of p: in evaluation, and in training against evaluation. */
import * as Plot from '@observablehq/plot'
import { describeHead } from '../plan.ts'
import type { Results } from '../results.ts'
import type { SummaryRow } from '../summary.ts'
import { type Figure, legend, plotSvg, seriesScales } from './figure.ts'

interface Point {
  head: string
  trained: number | null
  p: number
  acc1: number
  low: number | null
  high: number | null
  seeds: number
}

/** Each head under Kakuritsu noise of its own kind, at every p; without noise is p = 1. */
function points(rows: readonly SummaryRow[]): Point[] {
  return rows.flatMap((row) => {
    const { evaluated, head, acc1 } = row
    if (evaluated.kind === 'dropout') return []
    return {
      head: describeHead(row),
      trained: head.arch === 'Kakuritsu' ? head.p : null,
      p: evaluated.kind === 'plain' ? 1 : evaluated.p,
      acc1: acc1.mean,
      low: acc1.interval?.[0] ?? null,
      high: acc1.interval?.[1] ?? null,
      seeds: acc1.n,
    }
  })
}

export function evaluationFigure({ summary }: Results): Figure {
  const data = points(summary.rows).sort((a, b) => a.p - b.p)
  const series = [...new Set(summary.rows.map(describeHead))]
  const title = 'Accuracy against the p of evaluation'
  const svg = plotSvg(title, {
    ...seriesScales(series),
    x: { label: 'p in evaluation (1: no noise)', domain: [0, 1] },
    y: { label: 'Acc@1, %', nice: true },
    marks: [
      Plot.ruleX(
        data.filter(({ low }) => low !== null),
        { x: 'p', y1: 'low', y2: 'high', stroke: 'head', strokeOpacity: 0.5 },
      ),
      Plot.lineY(data, { x: 'p', y: 'acc1', stroke: 'head', strokeWidth: 2 }),
      Plot.dot(data, { x: 'p', y: 'acc1', stroke: 'head', fill: 'head', symbol: 'head', r: 3.5 }),
    ],
  })
  const caption =
    'Every head with the synapses of both its layers firing with probability p. Bars: 95 % intervals of the mean over seeds.'
  return { id: 'evaluation-p', title, caption, svg: legend(series) + svg, data: data.map((point) => ({ ...point })) }
}

/** White is a Kakuritsu head trained at p = 1. */
export function heatMapFigure({ summary }: Results): Figure {
  const published = summary.rows.filter(({ variant, head }) => variant === 'published' && head.arch !== 'Dropout')
  const data = points(published).map(({ trained, ...point }) => ({ ...point, trained: trained ?? 1 }))
  const title = 'p of training × p of evaluation'
  const [least, most] = [Math.min, Math.max].map((pick) => pick(...data.map(({ acc1 }) => acc1)))
  const rows = new Set(data.map(({ trained }) => trained)).size
  const cells = { x: 'p', y: 'trained' }
  // A ramp of one hue, light to dark; numbers are white on the dark half.
  const dark = (acc1: number) => most > least && (acc1 - least) / (most - least) > 0.5
  const svg = plotSvg(title, {
    height: 70 + 44 * rows,
    marginTop: 30,
    grid: false,
    x: { label: 'p in evaluation', type: 'band' },
    y: { label: 'p in training', type: 'band', reverse: true },
    color: { type: 'linear', range: ['#e3eef9', '#08306b'], domain: [least, most > least ? most : least + 1] },
    marks: [
      Plot.cell(data, { ...cells, fill: 'acc1', inset: 1 }),
      Plot.text(data, {
        ...cells,
        text: ({ acc1 }) => acc1.toFixed(1),
        fill: ({ acc1 }) => (dark(acc1) ? 'white' : 'black'),
      }),
    ],
  })
  const caption = `Acc@1 in %, mean over seeds. p = 1 in training is the White head${rows < 3 ? '; --ablate p adds more rows' : ''}.`
  return { id: 'heat-map', title, caption, svg, data }
}
