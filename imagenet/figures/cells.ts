/**
 * The original's figure of a cell: its synapses as a grid of circles, radius ∝ |weight|, green for positive and red for
 * negative. All panels of a figure share one scale, so that cells can be compared.
 *
 * The background is transparent. Each colour stands out from white paper and from a dark page by a contrast of 3 to 1
 * (WCAG 2.2, 1.4.11), and green is lighter than red, so that grey print tells them apart.
 */

export interface CellPanel {
  /** Above the grid; a line each. */
  title: string
  /** A weight an input, as they follow each other in the layer: the grid is filled row by row. */
  weights: ArrayLike<number>
}

export interface CellsOptions {
  /** Panels side by side before a new row of them begins; 4 unless given. */
  panelsPerRow?: number
  /** Circles in a row of a grid; as `gridColumns` says unless given. */
  columns?: number
}

export const CELL_COLORS = { positive: '#12a06a', negative: '#cf2a2a', text: '#787878', frame: '#9a9a9a' } as const

/** Pixels from circle to circle. */
const PITCH = 9
/** The share of circles that have room between their neighbours. The few that are wider lie under them. */
const SHARE_WITH_ROOM = 0.99
/** No circle is larger. */
const LARGEST_RADIUS = 0.75 * PITCH
/** Between the grid and its frame, for the widest circle of an outermost row. */
const INSET = Math.ceil(LARGEST_RADIUS - PITCH / 2)
const MARGIN = 16
const GAP = 20
const FONT_SIZE = 12
const LINE = 18
/** Of DejaVu Sans: the width of an average letter, in units of the font's size. */
const LETTER_WIDTH = 0.62

/** How much taller than wide a grid may be before the last row is rather left unfinished. */
const TALLEST = 2.5

/** Circles in a row: the divisor of `count` that makes the grid squarest, standing; a square's side where none does. */
export function gridColumns(count: number): number {
  const side = Math.floor(Math.sqrt(count))
  for (let columns = side; columns * columns * TALLEST >= count; columns--)
    if (columns > 0 && count % columns === 0) return columns
  return Math.ceil(Math.sqrt(count))
}

/**
 * Draws cells.
 * @returns an SVG document
 * @throws RangeError when there is no panel, a panel has no weights, or a weight is no finite number
 */
export function cellsSvg(panels: readonly CellPanel[], { panelsPerRow = 4, columns }: CellsOptions = {}): string {
  if (panels.length === 0) throw new RangeError('a figure of cells wants at least one panel')
  const scale = scaleOf(panels)
  const drawn = panels.map((panel) => drawPanel(panel, scale, columns))
  const perRow = Math.min(panelsPerRow, panels.length)
  const width = Math.max(...drawn.map((panel) => panel.width))
  const height = Math.max(...drawn.map((panel) => panel.height))
  const rows = Math.ceil(panels.length / perRow)
  const legend = drawLegend(scale)

  const inner = Math.max(perRow * width + (perRow - 1) * GAP, legend.width)
  const left = MARGIN + (inner - perRow * width - (perRow - 1) * GAP) / 2
  const parts = drawn.map(({ svg }, i) => {
    const x = left + (i % perRow) * (width + GAP)
    const y = MARGIN + Math.floor(i / perRow) * (height + GAP)
    return `<g transform="translate(${short(x)} ${short(y)})">\n${svg}\n</g>`
  })
  const legendTop = MARGIN + rows * (height + GAP)
  parts.push(
    `<g transform="translate(${short(MARGIN + (inner - legend.width) / 2)} ${legendTop})">\n${legend.svg}\n</g>`,
  )
  const size = [inner + 2 * MARGIN, legendTop + legend.height + MARGIN].map(Math.ceil)
  const font = `font-family="DejaVu Sans, Verdana, sans-serif" font-size="${FONT_SIZE}" fill="${CELL_COLORS.text}"`
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${size[0]}" height="${size[1]}" viewBox="0 0 ${size.join(' ')}" ${font}>
<title>${escapeXml(panels.map(({ title }) => title.replaceAll('\n', ', ')).join('; '))}</title>
${parts.join('\n')}
</svg>
`
}

interface Drawn {
  svg: string
  width: number
  height: number
}

interface Scale {
  /** The largest |weight| there is; 1 where all are 0. */
  max: number
  /** Pixels of radius for a weight of 1. */
  radius: number
}

/** The scale that all panels share: as large as the room between circles allows. */
function scaleOf(panels: readonly CellPanel[]): Scale {
  const all: number[] = []
  for (const { title, weights } of panels) {
    if (weights.length === 0) throw new RangeError(`'${title}' has no weights to draw`)
    for (let i = 0; i < weights.length; i++) {
      if (!Number.isFinite(weights[i])) throw new RangeError(`'${title}': weight ${i} is ${weights[i]}`)
      all.push(Math.abs(weights[i]))
    }
  }
  all.sort((a, b) => a - b)
  const max = all[all.length - 1] || 1
  const withRoom = all[Math.floor((all.length - 1) * SHARE_WITH_ROOM)] || max
  return { max, radius: Math.min(PITCH / 2 / withRoom, LARGEST_RADIUS / max) }
}

function drawPanel({ title, weights }: CellPanel, scale: Scale, columns = gridColumns(weights.length)): Drawn {
  const lines = title.split('\n')
  const gridWidth = columns * PITCH + 2 * INSET
  const gridHeight = Math.ceil(weights.length / columns) * PITCH + 2 * INSET
  const top = lines.length * LINE
  const width = Math.max(gridWidth, ...lines.map(textWidth))
  const left = (width - gridWidth) / 2
  const layers = { wide: { positive: '', negative: '' }, narrow: { positive: '', negative: '' } }
  for (let i = 0; i < weights.length; i++) {
    if (weights[i] === 0) continue
    const x = left + INSET + ((i % columns) + 0.5) * PITCH
    const y = top + INSET + (Math.floor(i / columns) + 0.5) * PITCH
    const r = radiusOf(weights[i], scale)
    layers[r > PITCH / 2 ? 'wide' : 'narrow'][weights[i] > 0 ? 'positive' : 'negative'] += circle(x, y, r)
  }
  const titles = lines.map((line, i) => text(width / 2, i * LINE + FONT_SIZE, line, 'middle'))
  const frame = `<rect x="${short(left)}" y="${top}" width="${gridWidth}" height="${gridHeight}" fill="none" stroke="${CELL_COLORS.frame}" stroke-width="0.5"/>`
  const circles = [layers.wide, layers.narrow].flatMap(({ positive, negative }) => [
    `<g fill="${CELL_COLORS.positive}">${positive}</g>`,
    `<g fill="${CELL_COLORS.negative}">${negative}</g>`,
  ])
  return { svg: [...titles, frame, ...circles].join('\n'), width, height: top + gridHeight }
}

/** Circles of round weights, negative to positive, and what they stand for. */
function drawLegend(scale: Scale): Drawn {
  const most = roundBelow(scale.max)
  const samples = [-most, -most / 2, most / 2, most]
  const parts: string[] = []
  let x = 0
  for (const weight of samples) {
    const r = radiusOf(weight, scale)
    const color = weight > 0 ? CELL_COLORS.positive : CELL_COLORS.negative
    const label = `${weight > 0 ? '+' : '−'}${Number(Math.abs(weight).toPrecision(2))}`
    parts.push(`<g fill="${color}">${circle(x + r, LINE / 2, r)}</g>`)
    parts.push(text(x + 2 * r + 5, LINE / 2 + FONT_SIZE * 0.36, label, 'start'))
    x += 2 * r + 5 + textWidth(label) + 12
  }
  const note = 'radius ∝ |weight|'
  parts.push(text(x, LINE / 2 + FONT_SIZE * 0.36, note, 'start'))
  return { svg: parts.join('\n'), width: x + textWidth(note), height: LINE }
}

/** The largest of 1, 2, 5 times a power of ten that is not above `value`. */
function roundBelow(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value))
  return (value >= 5 * power ? 5 : value >= 2 * power ? 2 : 1) * power
}

const radiusOf = (weight: number, scale: Scale): number => Math.abs(weight) * scale.radius

const textWidth = (words: string): number => words.length * FONT_SIZE * LETTER_WIDTH

/** Hundredths of a pixel are finer than any print of it. */
const short = (value: number): string => String(Math.round(value * 100) / 100)

const circle = (x: number, y: number, r: number): string =>
  `<circle cx="${short(x)}" cy="${short(y)}" r="${short(r)}"/>`

const text = (x: number, y: number, words: string, anchor: 'start' | 'middle'): string =>
  `<text x="${short(x)}" y="${short(y)}" text-anchor="${anchor}">${escapeXml(words)}</text>`

const ENTITIES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' }

const escapeXml = (words: string): string => words.replace(/[&<>"]/g, (character) => ENTITIES[character])
