/** Which images a run is about. */
import { createHash } from 'node:crypto'
import { dirname, join, resolve } from 'node:path'
import { UsageError } from '../errors.ts'
import { openDummy } from './sources/dummy.ts'
import { openFolder } from './sources/folder.ts'
import { openMnist } from './sources/mnist.ts'
import type { Dataset } from './sources/source.ts'

export interface DatasetOptions {
  /** A folder of images, or `mnist`. */
  dir: string
  /** Made-up images in place of the folder's. */
  dummy: boolean
  /** Pixels a side of made-up images. */
  imageSize: number
  /** The run's folder: the names of a large folder's files are remembered beside it. */
  output?: string
}

/** @throws UsageError when there are no such images. */
export function openDataset({ dir, dummy, imageSize, output }: DatasetOptions): Dataset {
  if (dummy) return openDummy(imageSize)
  if (dir === 'mnist') return openMnist()
  const dataset = openFolder(dir, output === undefined ? {} : { file: indexFile(dir, output) })
  if (dataset.train.classes.length < 2)
    throw new UsageError(`${dir} holds one class only: a classifier wants at least two folders under train/`)
  return dataset
}

/** `runs/.index-0123456789abcdef`: runs of the same images share it. */
function indexFile(dir: string, output: string): string {
  const name = createHash('sha256').update(resolve(dir)).digest('hex').slice(0, 16)
  return join(dirname(resolve(output)), `.index-${name}`)
}
