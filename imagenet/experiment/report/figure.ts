/** A figure of the report: an SVG that goes with any page, and the numbers in it. */
import * as Plot from '@observablehq/plot'
import { parseHTML } from 'linkedom'

/** A row of a figure's data; its fields are the columns of the CSV file. */
export type Datum = Record<string, string | number | null>

export interface Figure {
  /** Names its file: `data/<id>.csv`. */
  id: string
  title: string
  /** What is to be seen, and how it was made. Plain text. */
  caption: string
  /** `<svg>`s, in `<div class="plots">` where several stand side by side. */
  svg: string
  data: readonly Datum[]
}

/**
 * Colours of the series, as the page's style defines them: those of a light page are darker than those of a dark one. In
 * figures without colour, series are told apart by the symbols of their points.
 */
const SERIES_COLORS = ['var(--c0)', 'var(--c1)', 'var(--c2)', 'var(--c3)', 'var(--c4)', 'var(--c5)', 'var(--c6)']
const SYMBOLS = ['circle', 'triangle', 'square', 'diamond', 'cross']

const WIDTH = 640
const HEIGHT = 340

/** A plot as SVG text. Text and axes have the page's colour (`currentColor`). */
export function plotSvg(title: string, options: Plot.PlotOptions): string {
  const { document } = parseHTML('<html><body></body></html>')
  const svg = Plot.plot({
    document: document as unknown as Plot.PlotOptions['document'],
    width: WIDTH,
    height: HEIGHT,
    marginLeft: 52,
    marginBottom: 40,
    grid: true,
    ariaLabel: title,
    style: { background: 'none', overflow: 'visible', fontFamily: 'system-ui, sans-serif', fontSize: '12px' },
    ...options,
  })
  svg.setAttribute('role', 'img')
  return svg.outerHTML
}

/** Scales that give each series its colour and its symbol, in the order given. */
export function seriesScales(series: readonly string[]): { color: Plot.ScaleOptions; symbol: Plot.ScaleOptions } {
  const domain = [...series]
  const cycle = (values: readonly string[]) => domain.map((_, i) => values[i % values.length])
  return { color: { domain, range: cycle(SERIES_COLORS) }, symbol: { domain, range: cycle(SYMBOLS) } }
}

/** The series' names beside their colours and symbols, to stand above a plot of `seriesScales`. */
export function legend(series: readonly string[]): string {
  const { color, symbol } = seriesScales(series)
  const width = 24 + 6.6 * Math.max(...series.map((name) => name.length))
  const columns = Math.max(1, Math.floor(WIDTH / width))
  const places = series.map((name, i) => ({ name, x: i % columns, y: Math.floor(i / columns) }))
  const rows = Math.ceil(series.length / columns)
  const place = { x: 'x', y: 'y' }
  return plotSvg(`legend: ${series.join(', ')}`, {
    height: 18 * rows + 8,
    marginTop: 4,
    marginRight: 4,
    marginBottom: 4,
    marginLeft: 10,
    grid: false,
    x: { axis: null, domain: [0, columns] },
    y: { axis: null, domain: [-0.5, rows - 0.5], reverse: true },
    color,
    symbol,
    marks: [
      Plot.dot(places, { ...place, stroke: 'name', fill: 'name', symbol: 'name', r: 4 }),
      Plot.text(places, { ...place, text: 'name', dx: 10, textAnchor: 'start', fill: 'currentColor' }),
    ],
  })
}

/** Comma-separated values (RFC 4180). */
export function csv(data: readonly Datum[]): string {
  const columns = [...new Set(data.flatMap((row) => Object.keys(row)))]
  const cell = (value: Datum[string] | undefined): string => {
    const text = String(value ?? '')
    return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
  }
  return [columns, ...data.map((row) => columns.map((name) => row[name]))]
    .map((cells) => `${cells.map(cell).join(',')}\r\n`)
    .join('')
}
