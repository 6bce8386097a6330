/** Which images a run is about. */
import { createHash } from 'node:crypto'
import { dirname, join, resolve } from 'node:path'
import { UsageError } from '../errors.ts'
import type { TrainOptions } from '../run/options.ts'
import { openDummy } from './sources/dummy.ts'
import { openFolder } from './sources/folder.ts'
import { openMnist } from './sources/mnist.ts'
import type { Dataset } from './sources/source.ts'

/**
 * @param options.output the run's folder: the names of a large folder's files are remembered beside it
 * @throws UsageError when there are no such images.
 */
export function openDataset({
  dir,
  dummy,
  imageSize,
  output,
}: Pick<TrainOptions, 'dir' | 'dummy' | 'imageSize' | 'output'>): Dataset {
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
