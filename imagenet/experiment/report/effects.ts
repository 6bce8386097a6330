/** The figure of the ablations: what each change does to K − D. */
import * as Plot from '@observablehq/plot'
import { ABLATIONS } from '../plan.ts'
import type { Results } from '../results.ts'
import type { Compared } from '../statistics.ts'
import { type Figure, plotSvg } from './figure.ts'

/** Null where there are no K and D to compare. */
export function effectsFigure({ summary }: Results): Figure | null {
  const { kMinusD, effects } = summary
  if (!kMinusD) return null
  const entry = (name: string, { mean, interval, n, pValue }: Compared) => ({
    name,
    difference: mean,
    low: interval?.[0] ?? null,
    high: interval?.[1] ?? null,
    seeds: n,
    p_value: pValue,
  })
  const data = [
    entry('as published', kMinusD.acc1),
    ...effects.map(({ ablation, difference }) => {
      const { arch, name } = ABLATIONS[ablation]
      return entry(`${arch[0]}: ${name}`, difference)
    }),
  ]
  const title = 'K − D, and what changes it'
  const svg = plotSvg(title, {
    height: 56 + 30 * data.length,
    marginLeft: 16 + 6.4 * Math.max(...data.map(({ name }) => name.length)),
    marginTop: 4,
    x: { label: 'K − D at the stochastic pass, points of Acc@1', nice: true, zero: true },
    y: { label: null, domain: data.map(({ name }) => name) },
    marks: [
      Plot.ruleX([0]),
      Plot.link(
        data.filter(({ low }) => low !== null),
        { x1: 'low', x2: 'high', y1: 'name', y2: 'name', stroke: 'var(--c0)', strokeWidth: 2 },
      ),
      Plot.dot(data, { x: 'difference', y: 'name', fill: 'var(--c0)', r: 4 }),
      Plot.text(data, {
        x: 'difference',
        y: 'name',
        text: ({ difference }) => difference.toFixed(1),
        dy: -11,
        fill: 'currentColor',
      }),
    ],
  })
  const caption = 'Paired by seed. Bars: 95 % intervals.'
  return { id: 'k-minus-d', title, caption, svg, data }
}
