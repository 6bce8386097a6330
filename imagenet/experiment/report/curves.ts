/** Figures of training: accuracy and loss by epoch. */
import * as Plot from '@observablehq/plot'
import { describeHead } from '../plan.ts'
import type { Results, RunResult } from '../results.ts'
import { type Datum, type Figure, legend, plotSvg, seriesScales } from './figure.ts'

export function curveFigures({ runs }: Results): Figure[] {
  const series = [...new Set(runs.map(({ spec }) => describeHead(spec)))]
  const figure = (id: string, title: string, label: string, value: (epoch: RunResult['epochs'][number]) => number) => {
    const data = runs.flatMap(({ spec, epochs }) =>
      epochs.map((epoch) => ({
        head: describeHead(spec),
        seed: spec.seed,
        epoch: epoch.epoch + 1,
        value: value(epoch),
      })),
    )
    const channels = { x: 'epoch', y: 'value', stroke: 'head' }
    const mean = Plot.groupX({ y: 'mean' }, { ...channels, z: 'head' })
    const svg = plotSvg(title, {
      ...seriesScales(series),
      x: { label: 'epoch', ticks: ticks(data) },
      y: { label, nice: true },
      marks: [
        Plot.lineY(data, {
          ...channels,
          z: ({ head, seed }: Datum) => `${head} ${seed}`,
          strokeOpacity: 0.3,
          strokeWidth: 1,
        }),
        Plot.lineY(data, { ...mean, strokeWidth: 2 } as Plot.LineYOptions),
        Plot.dot(
          data,
          Plot.groupX({ y: 'mean' }, { ...channels, z: 'head', fill: 'head', symbol: 'head', r: 3 }) as Plot.DotOptions,
        ),
      ],
    })
    const caption = 'Thick: mean over seeds; thin: each seed.'
    return { id, title, caption, svg: legend(series) + svg, data }
  }
  return [
    figure(
      'curve-accuracy',
      'Validation accuracy while training',
      'Acc@1, %, under the head’s own noise',
      ({ val }) => val.acc1,
    ),
    figure(
      'curve-loss',
      'Loss while training',
      'cross-entropy over the epoch’s training images',
      ({ train }) => train.loss,
    ),
  ]
}

/** Whole epochs, some ten of them. */
function ticks(data: readonly { epoch: number }[]): number[] {
  const last = Math.max(...data.map(({ epoch }) => epoch))
  const every = Math.ceil(last / 10)
  return Array.from({ length: Math.floor(last / every) }, (_, i) => (i + 1) * every)
}
