/** The weights of one layer's cells, from any file of weights. */
import { extname } from 'node:path'
import { shuffled } from '../../engine/random.ts'
import type { SavedTensor } from '../../nn/index.ts'
import { UsageError } from '../errors.ts'
import { openWeights, type WeightsFile } from '../weights/formats/weights.ts'

/** [cells, inputs], row by row: a cell's weights follow each other. */
export interface LayerWeights {
  file: string
  /** The kind of head that was trained, where the file says so. */
  arch?: string
  /** The tensor's name in the file. */
  name: string
  cells: number
  inputs: number
  weights: Float32Array | Float64Array
}

/**
 * @param layer a layer's or tensor's name, or the end of it: `li1` is `exp.li1.weight`
 * @throws UsageError when the file cannot be read, or has no such layer, or several
 */
export async function readLayer(file: string, layer: string): Promise<LayerWeights> {
  const opened = await openWeights(file)
  try {
    const [name, { shape, data }] = findLayer(opened, layer)
    if (!(data instanceof Float32Array || data instanceof Float64Array))
      throw new UsageError(`${file}: ${name} holds whole numbers, no weights`)
    const [cells] = shape
    return { file, arch: archOf(opened), name, cells, inputs: data.length / cells, weights: data }
  } finally {
    opened.close()
  }
}

/** What a figure calls the files: as briefly as tells them apart. */
export function labelsOf(layers: readonly Pick<LayerWeights, 'file' | 'arch'>[]): string[] {
  const files = layers.map(({ file }) => file.slice(0, file.length - extname(file).length).split(/[\\/]/))
  const names = layers.map(({ arch }, i) => arch ?? files[i].at(-1)!)
  if (new Set(names).size === names.length) return names
  // runs/K-seed0/best and runs/D-seed0/best are K-seed0 and D-seed0.
  const shared = (at: number) => files.every((parts) => parts.length > 1 && parts.at(at) === files[0].at(at))
  while (shared(-1)) for (const parts of files) parts.pop()
  while (shared(0)) for (const parts of files) parts.shift()
  return files.map((parts, i) => parts.join('/') || layers[i].file)
}

/** One cell's weights, one an input. @throws UsageError when there is no such cell */
export function cellOf(
  { file, name, cells, inputs, weights }: LayerWeights,
  cell: number,
): Float32Array | Float64Array {
  if (cell >= cells) throw new UsageError(`${file}: ${name} has cells 0 to ${cells - 1}, asked for ${cell}`)
  return weights.subarray(cell * inputs, (cell + 1) * inputs)
}

/**
 * The cells meant by numbers and `random`s, in their order; those drawn are different from each other and from those
 * named.
 * @throws UsageError when more are to be drawn than there are
 */
export function chooseCells(wanted: readonly (number | 'random')[], cells: number, seed: number): number[] {
  const named = new Set(wanted)
  const drawn = [...shuffled(cells, seed, 0)].filter((cell) => !named.has(cell))
  return wanted.map((cell) => {
    if (cell !== 'random') return cell
    const next = drawn.shift()
    if (next === undefined) throw new UsageError(`the layer has ${cells} cells: so many cannot be drawn from it`)
    return next
  })
}

/** As many names as an error can bear. */
const NAMES_SHOWN = 6

function findLayer({ file, tensors }: WeightsFile, layer: string): [name: string, tensor: SavedTensor] {
  const isLayer = ([name, { shape }]: [string, SavedTensor]) =>
    shape.length >= 2 && shape.every((extent) => extent > 0) && !name.startsWith('optimizer.')
  const layers = [...tensors].filter(isLayer)
  const named = layers.filter(([name]) => name === layer || name === `${layer}.weight`)
  const found = named.length > 0 ? named : layers.filter(([name]) => `.${name}`.match(endOf(layer)))
  if (found.length === 1) return found[0]
  // Heads come last, and are what is looked for.
  const shown = (found.length > 0 ? found : layers).map(([name]) => name.replace(/\.weight$/, '')).slice(-NAMES_SHOWN)
  const more = (found.length || layers.length) > NAMES_SHOWN ? 'among others ' : ''
  const list = shown.length > 0 ? `${more}${shown.join(', ')}` : 'none'
  throw new UsageError(
    found.length > 0
      ? `${file} has several layers '${layer}': ${list}`
      : `${file} has no layer '${layer}'; it has ${list}`,
  )
}

const endOf = (layer: string): RegExp => new RegExp(`\\.${layer.replace(/[^\w]/g, '\\$&')}(\\.weight)?$`)

function archOf({ metadata, saved }: WeightsFile): string | undefined {
  const arch = metadata.arch ?? saved?.get('arch')
  return typeof arch === 'string' ? arch : undefined
}
