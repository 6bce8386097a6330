import { PNG } from 'pngjs'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { CELL_COLORS, cellsSvg, gridColumns } from '../../imagenet/figures/cells.ts'
import { labelsOf } from '../../imagenet/figures/layer_weights.ts'
import { svgToPng } from '../../imagenet/figures/png.ts'

const test = suite('figures of cells')

/** The circles of each colour in an SVG: x, y and radius. */
function circles(svg: string, sign: 'positive' | 'negative'): number[][] {
  const groups = svg.matchAll(/<g fill="(#\w+)">(.*?)<\/g>/g)
  return [...groups]
    .filter(([, color]) => color === CELL_COLORS[sign])
    .flatMap(([, , content]) => [...content.matchAll(/cx="([\d.]+)" cy="([\d.]+)" r="([\d.]+)"/g)])
    .map(([, ...numbers]) => numbers.map(Number))
}

/** Those of the panels alone: the legend comes last, two circles a colour. */
const ofPanels = (svg: string, sign: 'positive' | 'negative') => circles(svg, sign).slice(0, -2)

test('a circle a weight: radius in proportion, colour by sign, none for 0', () => {
  const svg = cellsSvg([{ title: 'cell', weights: [1, -0.5, 0, 0.25] }])
  const [positive, negative] = [ofPanels(svg, 'positive'), ofPanels(svg, 'negative')]
  assert.is(positive.length, 2)
  assert.is(negative.length, 1)
  const [largest, quarter] = positive.map(([, , r]) => r)
  assert.ok(Math.abs(largest / quarter - 4) < 0.05, 'a quarter of the weight')
  assert.ok(Math.abs(largest / negative[0][2] - 2) < 0.05, 'half of the weight')
  // The grid is 2 × 2, filled row by row: −0.5 is right of 1, and 0.25 is below that.
  assert.is(negative[0][1], positive[0][1])
  assert.is(negative[0][0], positive[1][0])
  assert.ok(positive[1][1] > positive[0][1])
})

test('panels share one scale, whatever their order', () => {
  const small = { title: 'small', weights: [0.1] }
  const large = { title: 'large', weights: [-1] }
  for (const panels of [
    [small, large],
    [large, small],
  ]) {
    const svg = cellsSvg(panels)
    const ratio = ofPanels(svg, 'negative')[0][2] / ofPanels(svg, 'positive')[0][2]
    assert.ok(Math.abs(ratio - 10) < 0.2, `${ratio}`)
  }
})

test('the legend shows round weights, at their size', () => {
  const svg = cellsSvg([{ title: 'cell', weights: [0.34, -0.1] }])
  for (const label of ['−0.2<', '−0.1<', '+0.1<', '+0.2<', 'radius ∝ |weight|<']) assert.ok(svg.includes(label), label)
  const [largest] = ofPanels(svg, 'positive')
  const sample = circles(svg, 'positive').at(-1)!
  assert.ok(Math.abs(sample[2] / largest[2] - 0.2 / 0.34) < 0.01)
})

test('grids stand, and are whole where a divisor allows it', () => {
  assert.is(gridColumns(2048), 32)
  assert.is(gridColumns(1000), 25)
  assert.is(gridColumns(512), 16)
  assert.is(gridColumns(9216), 96)
  assert.is(gridColumns(1), 1)
  assert.is(gridColumns(7), 3, 'a prime: no divisor')
})

test('files are called by what tells them apart', () => {
  const of = (...files: string[]) => labelsOf(files.map((file) => ({ file })))
  assert.equal(of('a/K.safetensors', 'b/D.pth'), ['K', 'D'])
  assert.equal(of('runs/K/best.safetensors', 'runs/D/best.safetensors'), ['K', 'D'])
  assert.equal(of('best.pth', 'deep/best.pth'), ['best', 'deep/best'])
  assert.equal(of('/k.pth', '/k.pth'), ['/k.pth', '/k.pth'])
  const heads = [
    { file: 'x', arch: 'Kakuritsu' },
    { file: 'x', arch: 'White' },
  ]
  assert.equal(labelsOf(heads), ['Kakuritsu', 'White'])
})

test('titles are text, not markup', () => {
  const svg = cellsSvg([{ title: '<script>&"x"', weights: [1] }])
  assert.not.ok(svg.includes('<script>'))
  assert.ok(svg.includes('&lt;script&gt;&amp;&quot;x&quot;'))
})

test('what cannot be drawn is refused by name', () => {
  assert.throws(() => cellsSvg([]), /at least one panel/)
  assert.throws(() => cellsSvg([{ title: 'a', weights: [] }]), /'a' has no weights/)
  assert.throws(() => cellsSvg([{ title: 'a', weights: [1, NaN] }]), /'a': weight 1 is NaN/)
  assert.ok(cellsSvg([{ title: 'silent', weights: [0, 0] }]).includes('<svg'), 'all weights 0')
})

test('the PNG has the colours, the text in a font of its own, and nothing behind them', () => {
  const svg = cellsSvg([{ title: 'MMMM', weights: [1, -1, 1, -1] }])
  const { width, height, data } = PNG.sync.read(svgToPng(svg, { zoom: 1 }))
  assert.ok(svg.includes(`width="${width}" height="${height}"`))
  const count = (color: string) => {
    const rgb = [1, 3, 5].map((at) => Number.parseInt(color.slice(at, at + 2), 16))
    let found = 0
    for (let i = 0; i < data.length; i += 4)
      if (data[i + 3] === 255 && rgb.every((value, c) => data[i + c] === value)) found++
    return found
  }
  assert.ok(count(CELL_COLORS.positive) > 100)
  assert.ok(count(CELL_COLORS.negative) > 100)
  assert.ok(count(CELL_COLORS.text) > 10, 'text')
  assert.is(data[3], 0, 'transparent')
})

test.run()
