/** Made-up experiments. */

import { FeatureSet } from '../../../imagenet/data/samples.ts'
import { ExperimentFolder } from '../../../imagenet/experiment/folder.ts'
import { CONFIDENCE_BINS } from '../../../imagenet/experiment/judge.ts'
import { EXPERIMENT_DEFAULTS } from '../../../imagenet/experiment/options.ts'
import { noiseKey, type PlanOptions, planRuns, type RunSpec } from '../../../imagenet/experiment/plan.ts'
import { type Evaluation, RESULTS_SCHEMA, type Results, type RunResult } from '../../../imagenet/experiment/results.ts'
import type { Settings } from '../../../imagenet/experiment/settings.ts'
import type { Features, Study } from '../../../imagenet/experiment/study.ts'
import { summarize } from '../../../imagenet/experiment/summary.ts'
import { testDevice } from '../../device.ts'
import { Random } from '../../reference/nd.ts'

export const SETTINGS: Settings = {
  dataset: 'mnist',
  classes: 6,
  trainImages: 40,
  valImages: 30,
  imageSize: 32,
  views: null,
  skipCorrupt: false,
  base: 'resnet18',
  precision: 'f32',
  pretrained: null,
  baseSteps: 3,
  baseSeed: 0,
  batchSize: 16,
  epochs: 3,
  lr: 0.01,
  momentum: 0.9,
  weightDecay: 1e-4,
}

export const planOf = (options: Partial<PlanOptions> = {}): RunSpec[] =>
  planRuns({ ...EXPERIMENT_DEFAULTS, seeds: 1, samples: 2, ...options })

/** Features of six classes, each around a point of its own. */
function features(images: number, seed: number): Features {
  const random = new Random(seed)
  const width = 20
  const labels = Uint32Array.from({ length: images }, (_, i) => i % SETTINGS.classes)
  const centers = new Random(1).normal([SETTINGS.classes, width]).data
  const noise = random.normal([images, width]).data
  const values = Float32Array.from(
    noise,
    (value, i) => centers[labels[Math.floor(i / width)] * width + (i % width)] + value,
  )
  const set = new FeatureSet(values, labels)
  const { batchSize } = SETTINGS
  return {
    length: images,
    width,
    steps: set.steps(batchSize),
    batches: (epoch) => set.batches(batchSize, epoch),
    close() {},
  }
}

/** Runs on it take a tenth of a second. */
export async function studyIn(path: string): Promise<Study> {
  const device = await testDevice()
  const { trainImages, valImages } = SETTINGS
  return {
    device,
    settings: SETTINGS,
    features: { train: features(trainImages, 2), val: features(valImages, 3) },
    folder: new ExperimentFolder(path),
  }
}

/** @param acc1 of an evaluation of a run, %: `pass` of several differ by it */
export function resultOf(spec: RunSpec, acc1: (noise: string, pass: number) => number): RunResult {
  const evaluation = ({ noise, passes }: RunSpec['evaluations'][number]): Evaluation => ({
    noise,
    passes: Array.from({ length: passes }, (_, pass) => {
      const accuracy = acc1(noiseKey(noise), pass)
      return { loss: 1 - accuracy / 100, acc1: accuracy, acc5: Math.min(100, accuracy + 5) }
    }),
    calibration: {
      bins: Array.from({ length: CONFIDENCE_BINS }, (_, i) => ({
        count: i,
        confidence: (i + 0.5) / CONFIDENCE_BINS,
        accuracy: i / CONFIDENCE_BINS,
      })),
      ece: 0.03,
    },
    agreement: passes > 1 ? 0.9 : null,
    seconds: 0.5,
  })
  const layer = (cells: number) => ({
    histogram: { low: -0.1, width: 0.01, counts: Array.from({ length: 20 }, (_, i) => 5 + i) },
    cell: Array.from({ length: cells }, (_, i) => Math.sin(i + spec.seed) / 10),
  })
  return {
    spec,
    epochs: Array.from({ length: SETTINGS.epochs }, (_, epoch) => {
      const acc = 50 + 10 * epoch
      return {
        epoch,
        lr: 0.01,
        train: { loss: 2 - epoch / 2, acc1: acc, acc5: 99 },
        val: { loss: 2 - epoch / 2, acc1: acc, acc5: 99 },
        seconds: 1,
      }
    }),
    bestEpoch: 2,
    evaluations: spec.evaluations.map(evaluation),
    weights: { li1: layer(20), li2: layer(30) },
    adapter: { name: 'GPU <1>', backend: 'vulkan', vendor: '', architecture: '', driver: '1.0', software: false },
    versions: { kakuritsu: '0.1.0', node: '20.0.0', webgpu: '0.6.2' },
  }
}

export function resultsOf(runs: RunResult[], name = 'made <up> & quoted'): Results {
  return {
    schema: RESULTS_SCHEMA,
    name,
    command: 'node bin/experiment.js --output "a & b"',
    settings: SETTINGS,
    base: { acc1: 91.5, seconds: 20 },
    runs,
    incomplete: [],
    summary: summarize(runs),
  }
}
