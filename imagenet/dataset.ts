/** Which images a run is about. */
import { UsageError } from './errors.ts'
import type { TrainOptions } from './options.ts'
import { openDummy } from './sources/dummy.ts'
import { openFolder } from './sources/folder.ts'
import { openMnist } from './sources/mnist.ts'
import type { Dataset } from './sources/source.ts'

/** @throws UsageError when there are no such images. */
export function openDataset({ dir, dummy, imageSize }: Pick<TrainOptions, 'dir' | 'dummy' | 'imageSize'>): Dataset {
  if (dummy) return openDummy(imageSize)
  if (dir === 'mnist') return openMnist()
  const dataset = openFolder(dir)
  if (dataset.train.classes.length < 2)
    throw new UsageError(`${dir} holds one class only: a classifier wants at least two folders under train/`)
  return dataset
}
