import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { PNG } from 'pngjs'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { cellOf, chooseCells, readLayer } from '../../imagenet/figures/layer_weights.ts'
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

const message = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'none',
    (error: Error) => `${error.name}: ${error.message}`,
  )

test('layers and cells that are not there are named', async () => {
  assert.match(
    await message(readLayer(k, 'li3')),
    /UsageError: .*k\.safetensors has no layer 'li3'; it has exp\.li1, exp\.li2/,
  )
  assert.match(await message(readLayer(k, 'weight')), /UsageError: .*has several layers 'weight': exp\.li1, exp\.li2/)
  const layer = await readLayer(k, 'li1')
  assert.throws(() => cellOf(layer, 4), /exp\.li1\.weight has cells 0 to 3, asked for 4/)
  assert.throws(() => chooseCells(['random', 0, 1], 2, 0), /2 cells: so many cannot be drawn/)
})

test('wrong use ends with status 2, and nothing is drawn', async () => {
  const uses: [args: string[], message: RegExp][] = [
    [['--weights', join(folder, 'none')], /there is no file .*none/],
    [['--weights', k, '--cell', 'x'], /--cell takes a whole number from 0 on, given 'x'/],
  ]
  for (const [args, message] of uses) {
    const { status, stdout, stderr } = await run(...args, '--output', join(folder, 'wrong'))
    assert.is(status, 2, stderr)
    assert.is(stdout, '')
    assert.match(stderr, message)
    assert.not.ok(existsSync(join(folder, 'wrong.svg')))
  }
})

test.after(() => removeFolder(folder))
test.run()
