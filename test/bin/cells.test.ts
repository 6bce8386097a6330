import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { PNG } from 'pngjs'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { writeSafetensors } from '../../nn/index.ts'
import { removeFolder, temporaryFolder } from '../imagenet/pictures.ts'
import { runBin } from './commands.ts'

const test = suite('cells')
const folder = temporaryFolder()

/** A checkpoint of a head with 3 inputs, 4 cells and 2 classes: weight i of cell n is n + i/10, negative for odd n. */
function checkpoint(name: string, metadata: Record<string, string> = {}): string {
  const layer = (cells: number, inputs: number) => ({
    dtype: 'F32' as const,
    shape: [cells, inputs],
    data: Float32Array.from({ length: cells * inputs }, (_, k) => {
      const cell = Math.floor(k / inputs)
      return (cell % 2 ? -1 : 1) * (cell + (k % inputs) / 10)
    }),
  })
  const file = join(folder, `${name}.safetensors`)
  const tensors = [
    ['exp.li1.weight', layer(4, 3)],
    ['exp.li2.weight', layer(2, 4)],
    ['optimizer.exp.li1.weight.momentum_buffer', layer(4, 3)],
  ] as const
  writeFileSync(file, Buffer.concat([...writeSafetensors(tensors, metadata)]))
  return file
}

const k = checkpoint('k', { arch: 'Kakuritsu' })
const d = checkpoint('d', { arch: 'Dropout' })
const other = checkpoint('other', { arch: 'Kakuritsu' })

const run = (...args: string[]) => runBin('cells', args)

test('--text prints a column a cell, exact to the last bit of a float32', async () => {
  const { status, stdout } = await run('--weights', k, '--layer', 'li1', '--cell', '2', '1', '--text')
  assert.is(status, 0)
  assert.equal(
    stdout
      .trimEnd()
      .split('\n')
      .map((line) => line.split('\t')),
    [
      ['input', 'Kakuritsu li1 · cell 2', 'Kakuritsu li1 · cell 1'],
      ['0', '2', '-1'],
      ['1', '2.1', '-1.1'],
      ['2', '2.2', '-1.2'],
    ],
  )
})

test('draws several cells of several checkpoints side by side, as PNG and SVG', async () => {
  const output = join(folder, 'figure')
  const { status, stdout, stderr } = await run('--weights', k, d, '--cell', '3', 'random', '--output', `${output}.png`)
  assert.is(status, 0, stderr)
  assert.match(stdout, /^li1, cells 3, [012]: .*figure\.png, .*figure\.svg$/m)
  const svg = readFileSync(`${output}.svg`, 'utf8')
  for (const name of ['Kakuritsu', 'Dropout']) assert.is(svg.split(`>${name}<`).length - 1, 2, name)
  assert.ok(PNG.sync.read(readFileSync(`${output}.png`)).width > 100)
})

test('drawn cells are different ones, and a seed repeats them', async () => {
  const draw = async () => {
    const output = join(folder, 'drawn')
    return (await run('--weights', k, '--cell', 'random', 'random', '1', 'random', '--seed', '7', '--output', output))
      .stdout
  }
  const first = await draw()
  assert.is(await draw(), first)
  assert.equal(
    first
      .match(/cells (.*):.*:?/)![1]
      .split(':')[0]
      .split(', ')
      .sort(),
    ['0', '1', '2', '3'],
  )
})

test('files that say the same of themselves are told apart by name', async () => {
  const { stdout } = await run('--weights', k, other, '--cell', '0', '--text')
  assert.match(stdout, /^input\tk li1 · cell 0\tother li1 · cell 0$/m)
})

const WRONG: [what: string, args: string[], message: RegExp][] = [
  ['no file', ['--weights', join(folder, 'none')], /there is no file .*none/],
  ['no weights', [], /required option '--weights/],
  ['no such layer', ['--weights', k, '--layer', 'li3'], /k\.safetensors has no layer 'li3'; it has exp\.li1, exp\.li2/],
  ['several such layers', ['--weights', k, '--layer', 'weight'], /has several layers 'weight': exp\.li1, exp\.li2/],
  ['no such cell', ['--weights', k, '--cell', '4'], /exp\.li1\.weight has cells 0 to 3, asked for 4/],
  ['no cell', ['--weights', k, '--cell', 'x'], /--cell takes a whole number from 0 on, given 'x'/],
  [
    'too many cells',
    ['--weights', k, '--layer', 'li2', '--cell', 'random', '0', '1'],
    /2 cells: so many cannot be drawn/,
  ],
]

for (const [what, args, message] of WRONG)
  test(`wrong use: ${what}`, async () => {
    const { status, stdout, stderr } = await run(...args, '--output', join(folder, 'wrong'))
    assert.is(status, 2, stderr)
    assert.is(stdout, '')
    assert.match(stderr, message)
    assert.not.ok(existsSync(join(folder, 'wrong.svg')))
  })

test.after(() => removeFolder(folder))
test.run()
