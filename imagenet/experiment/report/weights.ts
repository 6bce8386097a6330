/** Figures of weights: how they are distributed, and cells as the original draws them. */
import * as Plot from '@observablehq/plot'
import { cellsSvg } from '../../figures/cells.ts'
import { describeHead } from '../plan.ts'
import type { Results } from '../results.ts'
import { byHead } from '../summary.ts'
import { type Figure, plotSvg, seriesScales } from './figure.ts'
import { perGroup, seriesGroups } from './series.ts'

const LAYERS = ['li1', 'li2'] as const

/** Bins that hold less than this part of the fullest one are left out of the plot (not of its data) at both ends. */
const TAIL = 0.002

/** Of the first seed's heads. */
const firstOfEach = ({ runs }: Results) => byHead(runs).map(([run]) => ({ name: describeHead(run.spec), run }))

export function histogramFigure(results: Results): Figure {
  const data = firstOfEach(results).flatMap(({ name, run }) =>
    LAYERS.flatMap((layer) => {
      const { low, width, counts } = run.weights[layer].histogram
      const total = counts.reduce((sum, count) => sum + count, 0)
      // Six digits: bins are whole hundredths, or twice as wide.
      const middle = (i: number) => Number((low + (i + 0.5) * width).toFixed(6))
      return counts.map((count, i) => ({ head: name, layer, weight: middle(i), density: count / total / width }))
    }),
  )
  const title = 'Weights of the heads'
  const svg = perGroup(results, (names) =>
    LAYERS.map((layer) => {
      const shown = data.filter((bin) => bin.layer === layer && names.includes(bin.head))
      const fullest = Math.max(...shown.map(({ density }) => density))
      const body = shown.filter(({ density }) => density > TAIL * fullest).map(({ weight }) => weight)
      return plotSvg(`${title}: ${layer}`, {
        ...seriesScales(names),
        width: 440,
        height: 280,
        x: { label: `weight of ${layer}`, domain: [Math.min(...body), Math.max(...body)] },
        y: { label: 'density', nice: true },
        marks: [
          Plot.lineY(shown, {
            x: 'weight',
            y: 'density',
            stroke: 'head',
            curve: 'step',
            strokeWidth: 1.5,
            clip: true,
          }),
          Plot.ruleY([0]),
        ],
      })
    }).join(''),
  )
  const caption = 'Of each head’s best epoch, first seed; tails are in the data. All start uniform in [−0.1, 0.1].'
  return { id: 'weights', title, caption, svg, data }
}

/** The first cell of each layer: the original's heads, and changed ones. */
export function cellsFigure(results: Results): Figure {
  const heads = firstOfEach(results)
  const data = heads.flatMap(({ name, run }) =>
    LAYERS.flatMap((layer) => run.weights[layer].cell.map((weight, input) => ({ head: name, layer, input, weight }))),
  )
  const panels = (names: readonly string[], layer: (typeof LAYERS)[number]) =>
    heads
      .filter(({ name }) => names.includes(name))
      .map(({ name, run }) => ({
        title: `${name.replace(', ', '\n')}\n${layer}, cell 0`,
        weights: run.weights[layer].cell,
      }))
  const svg = seriesGroups(results)
    .flatMap((names) => LAYERS.map((layer) => cellsSvg(panels(names, layer))))
    .join('')
  const caption = 'The synapses of the first cell of each layer, a circle an input; first seed.'
  return { id: 'cells', title: 'Cells', caption, svg, data }
}
