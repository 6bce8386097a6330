/** Figures of training: accuracy and loss by epoch. */
import * as Plot from '@observablehq/plot'
import { describeHead } from '../plan.ts'
import type { EpochRecord, Results } from '../results.ts'
import { describe } from '../statistics.ts'
import { byHead } from '../summary.ts'
import { type Figure, plotSvg, seriesScales } from './figure.ts'
import { perGroup } from './series.ts'

export const curveFigures = (results: Results): Figure[] => [
  curves(results, {
    id: 'curve-accuracy',
    title: 'Validation accuracy while training',
    label: 'Acc@1, %, under the head’s own noise',
    value: ({ val }) => val.acc1,
  }),
  curves(results, {
    id: 'curve-loss',
    title: 'Loss while training',
    label: 'cross-entropy, mean over the epoch’s steps',
    value: ({ train }) => train.loss,
  }),
]

interface Curve {
  id: string
  title: string
  /** Of the vertical axis. */
  label: string
  value: (epoch: EpochRecord) => number
}

function curves(results: Results, { id, title, label, value }: Curve): Figure {
  const data = results.runs.flatMap(({ spec, epochs }) =>
    epochs.map((record) => {
      const { id: run, seed } = spec
      return { head: describeHead(spec), run, seed, epoch: record.epoch + 1, value: value(record) }
    }),
  )
  const means = byHead(results.runs).flatMap((runs) =>
    runs[0].epochs.map(({ epoch }) => ({
      head: describeHead(runs[0].spec),
      epoch: epoch + 1,
      value: describe(runs.map(({ epochs }) => value(epochs[epoch]))).mean,
    })),
  )
  const channels = { x: 'epoch', y: 'value', stroke: 'head' }
  const svg = perGroup(results, (names) => {
    const shown = ({ head }: { head: string }) => names.includes(head)
    return plotSvg(title, {
      ...seriesScales(names),
      x: { label: 'epoch', ticks: ticks(results.settings.epochs), tickFormat: 'd' },
      y: { label, nice: true },
      marks: [
        Plot.lineY(data.filter(shown), { ...channels, z: 'run', strokeOpacity: 0.3, strokeWidth: 1 }),
        Plot.lineY(means.filter(shown), { ...channels, strokeWidth: 2 }),
        Plot.dot(means.filter(shown), { ...channels, fill: 'head', symbol: 'head', r: 3 }),
      ],
    })
  })
  return { id, title, caption: 'Thick: mean over seeds; thin: each seed.', svg, data }
}

/** Whole epochs, some ten of them. */
function ticks(epochs: number): number[] {
  const every = Math.ceil(epochs / 10)
  return Array.from({ length: Math.floor(epochs / every) }, (_, i) => (i + 1) * every)
}
