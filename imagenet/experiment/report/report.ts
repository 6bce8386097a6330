/** A report: what `results.json` holds, as a page and as Markdown. A pure function of the results. */
import type { Results } from '../results.ts'
import { agreementFigure, reliabilityFigure } from './certainty.ts'
import { curveFigures } from './curves.ts'
import { effectsFigure } from './effects.ts'
import type { Figure } from './figure.ts'
import { escapeHtml, figureHtml, page, tableHtml, termsHtml } from './page.ts'
import { evaluationFigure, heatMapFigure } from './sweeps.ts'
import { differencesTable, evaluationsTable, markdownTable, publishedTable, type Table, timesTable } from './tables.ts'
import { cellsFigure, histogramFigure } from './weights.ts'

export interface Report {
  /** One file that opens offline. */
  html: string
  markdown: string
  figures: Figure[]
}

/** @throws RangeError when no run is complete */
export function report(results: Results): Report {
  if (results.runs.length === 0) throw new RangeError(`${results.name}: no run is complete, there is nothing to report`)
  const figures = figuresOf(results)
  const published = publishedTable(results)
  const differences = differencesTable(results)
  const title = `Kakuritsu: ${results.name}`
  const [before, after] = [
    figures.filter(({ id }) => id === 'k-minus-d'),
    figures.filter(({ id }) => id !== 'k-minus-d'),
  ]
  const html = page(title, [
    headline(results),
    tableHtml(published),
    ...(differences ? [tableHtml(differences)] : []),
    ...before.map(figureHtml),
    ...after.map(figureHtml),
    tableHtml(evaluationsTable(results)),
    tableHtml(timesTable(results)),
    `<section><h2>How it was made</h2>${termsHtml(termsOf(results))}</section>`,
  ])
  return { html, markdown: markdownOf(title, results, [published, ...(differences ? [differences] : [])]), figures }
}

function figuresOf(results: Results): Figure[] {
  const figures = [
    effectsFigure(results),
    ...curveFigures(results),
    evaluationFigure(results),
    heatMapFigure(results),
    reliabilityFigure(results),
    agreementFigure(results),
    histogramFigure(results),
    cellsFigure(results),
  ]
  const renamed = clipNames()
  return figures.filter((figure) => figure !== null).map((figure) => ({ ...figure, svg: renamed(figure.svg) }))
}

/** Plot counts its clip paths over all plots of a process; here they are counted over the report's. */
function clipNames(): (svg: string) => string {
  const names = new Map<string, string>()
  return (svg) =>
    svg.replace(/plot-clip-\d+/g, (name) => {
      if (!names.has(name)) names.set(name, `clip-${names.size}`)
      return names.get(name)!
    })
}

function headline({ base, settings, incomplete }: Results): string {
  const { dataset, trainImages, valImages } = settings
  const origin = base.acc1 === null ? 'with given weights' : `trained from zero (Acc@1 ${base.acc1.toFixed(2)})`
  const words = `${settings.base} ${origin}, frozen; heads on its features of ${trainImages} training images of ${dataset}, evaluated on ${valImages}.`
  const lacking = incomplete.map(({ id, error }) => `${id}${error ? ` (failed: ${error})` : ''}`).join(', ')
  return `<p>${escapeHtml(words)}</p>${lacking && `<p>Not complete, and not in this report: ${escapeHtml(lacking)}.</p>`}`
}

function termsOf({ command, settings, runs }: Results): [string, string][] {
  const all = (of: (run: Results['runs'][number]) => string) => [...new Set(runs.map(of))].join('; ')
  const images =
    settings.views === null
      ? 'Training images are transformed as for validation, where the original augmented them.'
      : `Each training image has ${settings.views} augmented views, taken in turn, where the original drew anew each epoch.`
  const protocol = `The frozen base stays in eval mode, so that its features are computed once; the original let its BatchNorm use batch statistics while the head trained. ${images} The best epoch is chosen on the validation images, as in the original.`
  return [
    ['Command', command],
    ['Adapter', all(({ adapter }) => `${adapter.name}, ${adapter.backend} driver ${adapter.driver}`)],
    [
      'Versions',
      all(({ versions }) =>
        Object.entries(versions)
          .map((pair) => pair.join(' '))
          .join(', '),
      ),
    ],
    ['Protocol', protocol],
    ...Object.entries(settings).map(([name, value]): [string, string] => [name, String(value ?? '–')]),
  ]
}

function markdownOf(title: string, { command }: Results, tables: readonly Table[]): string {
  const parts = tables.map((table) => `## ${table.title}\n\n${markdownTable(table)}\n\n${table.note}\n`)
  return [`# ${title}\n`, ...parts, `Command: \`${command}\`\n`].join('\n')
}
