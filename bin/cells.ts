#!/usr/bin/env node
/** `node bin/cells.js`: draws the synapses of a layer's cells, or prints them. */
import { randomInt } from 'node:crypto'
import { Command } from 'commander'
import {
  type CellPanel,
  cellOf,
  cellsSvg,
  chooseCells,
  type LayerWeights,
  labelsOf,
  parseCount,
  readLayer,
  runCommand,
  svgToPng,
  writeFileAtomic,
} from '../imagenet/index.ts'

interface Options {
  weights: string[]
  layer: string
  cell?: (number | 'random')[]
  seed?: number
  output: string
  text?: true
}

const command = new Command('cells')
  .description(
    'Draws cells: a circle a synapse, radius in proportion to |weight|, green for positive and red for negative.',
  )
  .requiredOption('--weights <FILE...>', 'checkpoints or weights; several are drawn side by side')
  .option('--layer <name>', 'layer whose cells they are', 'li1')
  .option('--cell <N|random...>', 'cells: numbers from 0 on, or drawn ones (one drawn)', addCell)
  .option('--seed <n>', 'draws the same cells again', (text) => parseCount('--seed', text, 0))
  .option('--output <NAME>', 'writes NAME.png and NAME.svg', 'cells')
  .option('--text', 'prints the weights instead: a line an input, a column a cell')
  .action(async ({ weights, layer, cell = ['random'], seed = randomInt(2 ** 32), output, text }: Options) => {
    const layers: LayerWeights[] = []
    for (const file of weights) layers.push(await readLayer(file, layer))
    const cells = chooseCells(cell, Math.min(...layers.map(({ cells }) => cells)), seed)
    const panels = panelsOf(layers, layer, cells)
    if (text) return printWeights(panels)
    const svg = cellsSvg(panels, layers.length > 1 ? { panelsPerRow: layers.length } : {})
    const name = output.replace(/\.(png|svg)$/i, '')
    writeFileAtomic(`${name}.svg`, svg)
    writeFileAtomic(`${name}.png`, svgToPng(svg))
    console.log(`${layer}, cell${cells.length > 1 ? 's' : ''} ${cells.join(', ')}: ${name}.png, ${name}.svg`)
  })

/** Commander calls it for one value after the other. */
function addCell(text: string, before: (number | 'random')[] = []): (number | 'random')[] {
  return [...before, text === 'random' ? text : parseCount('--cell', text, 0)]
}

/** A row of panels for each cell, a column for each file. */
function panelsOf(layers: readonly LayerWeights[], layer: string, cells: readonly number[]): CellPanel[] {
  const labels = labelsOf(layers)
  return cells.flatMap((cell) =>
    layers.map((weights, i) => ({
      title: `${labels[i]}\n${layer} · cell ${cell}`,
      weights: cellOf(weights, cell),
    })),
  )
}

/** Tab-separated, with the panels' titles at the top. */
function printWeights(panels: readonly CellPanel[]): void {
  const inputs = Math.max(...panels.map(({ weights }) => weights.length))
  console.log(['input', ...panels.map(({ title }) => title.replace('\n', ' '))].join('\t'))
  const lines: string[] = []
  for (let input = 0; input < inputs; input++)
    lines.push(
      [input, ...panels.map(({ weights }) => (input < weights.length ? shortest(weights[input]) : ''))].join('\t'),
    )
  console.log(lines.join('\n'))
}

/** Digits that tell every float32 from its neighbours. */
const FLOAT32_DIGITS = 9

/** The shortest number that is the same float32. */
function shortest(weight: number): number {
  for (let digits = 1; digits < FLOAT32_DIGITS; digits++) {
    const short = Number(weight.toPrecision(digits))
    if (Math.fround(short) === Math.fround(weight)) return short
  }
  return Number(weight.toPrecision(FLOAT32_DIGITS))
}

await runCommand(command)
