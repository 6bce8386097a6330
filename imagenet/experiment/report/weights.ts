/** Figures of weights: how they are distributed, and cells as the original draws them. */
import * as Plot from '@observablehq/plot'
import { cellsSvg } from '../../figures/cells.ts'
import { describeHead } from '../plan.ts'
import type { Results } from '../results.ts'
import { byHead } from '../summary.ts'
import { type Figure, legend, plotSvg, seriesScales } from './figure.ts'

const LAYERS = ['li1', 'li2'] as const

/** Of the first seed's heads. */
const firstOfEach = ({ runs }: Results) => byHead(runs).map(([run]) => ({ name: describeHead(run.spec), run }))

export function histogramFigure(results: Results): Figure {
  const heads = firstOfEach(results)
  const series = heads.map(({ name }) => name)
  const data = heads.flatMap(({ name, run }) =>
    LAYERS.flatMap((layer) => {
      const { low, width, counts } = run.weights[layer].histogram
      const total = counts.reduce((sum, count) => sum + count, 0)
      // Rounded: bins are multiples of a hundredth.
      return counts.map((count, i) => ({
        head: name,
        layer,
        weight: Number((low + (i + 0.5) * width).toFixed(6)),
        density: count / total / width,
      }))
    }),
  )
  const title = 'Weights of the heads'
  const plots = LAYERS.map((layer) =>
    plotSvg(`${title}: ${layer}`, {
      ...seriesScales(series),
      height: 260,
      x: { label: `weight of ${layer}` },
      y: { label: 'density', nice: true },
      marks: [
        Plot.lineY(
          data.filter((datum) => datum.layer === layer),
          { x: 'weight', y: 'density', stroke: 'head', curve: 'step', strokeWidth: 1.5 },
        ),
        Plot.ruleY([0]),
      ],
    }),
  )
  const caption = `Of each head's best epoch, first seed. All start uniform in [−0.1, 0.1].`
  return { id: 'weights', title, caption, svg: legend(series) + plots.join(''), data }
}

export function cellsFigure(results: Results): Figure {
  const heads = firstOfEach(results)
  const data = heads.flatMap(({ name, run }) =>
    LAYERS.flatMap((layer) => run.weights[layer].cell.map((weight, input) => ({ head: name, layer, input, weight }))),
  )
  const svg = LAYERS.map((layer) =>
    cellsSvg(
      heads.map(({ name, run }) => ({
        title: `${name.replace(', ', '\n')}\n${layer}, cell 0`,
        weights: run.weights[layer].cell,
      })),
      { panelsPerRow: 3 },
    ),
  ).join('')
  const caption = 'The synapses of the first cell of each layer, first seed.'
  return { id: 'cells', title: 'Cells', caption, svg, data }
}
