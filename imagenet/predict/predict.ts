/** A classifier's answers to images, batch by batch. */
import { type Device, noGrad, scope } from '../../engine/index.ts'
import { type Batch, Loader } from '../data/loader.ts'
import { imageSamples } from '../data/samples.ts'
import { pipelined } from '../run/loop.ts'
import { AnswerSum, type Prediction } from './answer.ts'
import type { Classifier } from './classifier.ts'
import { ImageList } from './images.ts'

export interface PredictOptions {
  batchSize: number
  /** Threads that decode. */
  workers: number
  /** Passes of the head over each image, under the noise that it was given. */
  passes: number
  /** Classes in an answer. */
  topk: number
}

/** Of a file: what the network says, or why it was not asked. */
export type Outcome = { file: string; prediction: Prediction } | { file: string; error: string }

/** Passes under way at a time: enough to keep the GPU at work, few enough to need little memory. */
const PASSES_AT_A_TIME = 16

/** The outcomes of all files, in their order. A file's does not depend on the size of its batch. */
export async function* predict(
  device: Device,
  classifier: Classifier,
  files: readonly string[],
  { batchSize, workers, passes, topk }: PredictOptions,
): AsyncGenerator<Outcome> {
  const source = new ImageList(files, classifier.recipe)
  const { imageSize } = classifier.recipe
  // One batch is made as fast here as by one thread, which would have to start first.
  const threads = files.length > batchSize ? workers : 0
  const options = { batchSize, imageSize, workers: threads, seed: 0, shuffle: false, skipCorrupt: true }
  const loader = new Loader(source, options)
  let done = 0
  const work = async (batch: Batch) => {
    const first = done
    done += batchSize
    return { first, batch, predictions: batch.size > 0 ? await ask(batch, first) : [] }
  }
  const ask = (batch: Batch, first: number) => answers(device, classifier, batch, source, { first, passes, topk })
  try {
    for await (const { first, batch, predictions } of pipelined(loader.epoch(0), work)) {
      const found = new Map(predictions.map((prediction, i) => [batch.indices[i], prediction]))
      for (let index = first; index < Math.min(first + batchSize, files.length); index++) {
        const file = files[index]
        const prediction = found.get(index)
        yield prediction ? { file, prediction } : { file, error: loader.skipped.get(file)! }
      }
    }
  } finally {
    await loader.close()
  }
}

/** @param first number of the batch's first image: with the pass, it decides on the noise */
async function answers(
  device: Device,
  classifier: Classifier,
  batch: Batch,
  source: ImageList,
  { first, passes, topk }: { first: number; passes: number; topk: number },
): Promise<Prediction[]> {
  const { generator } = classifier
  const classes = classifier.classes.length
  const sums = Array.from({ length: batch.size }, () => new AnswerSum(classes))
  const features = scope(() =>
    noGrad(() => classifier.features(imageSamples(batch, source).input(device, 0, batch.size))),
  )
  try {
    for (let start = 0; start < passes; start += PASSES_AT_A_TIME) {
      const underWay: Promise<Float32Array>[] = []
      for (let pass = start; pass < Math.min(start + PASSES_AT_A_TIME, passes); pass++) {
        generator.moveTo({ phase: 'validation', step: pass, sample: first })
        underWay.push(scope(() => noGrad(() => classifier.logits(features).read())))
      }
      for (const logits of await Promise.all(underWay))
        for (const [row, sum] of sums.entries()) sum.add(logits.subarray(row * classes, (row + 1) * classes))
    }
  } finally {
    features.release()
  }
  return sums.map((sum) => sum.result(topk))
}
