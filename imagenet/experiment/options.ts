/** What an experiment can be told, and what it takes when told nothing. */
import { basename, join, resolve } from 'node:path'
import type { Device } from '../../engine/index.ts'
import { type Arch, archs, type ResNetName } from '../../nn/index.ts'
import type { Dataset } from '../data/sources/source.ts'
import { UsageError } from '../errors.ts'
import type { Precision } from '../gpu/precision.ts'
import type { DecoderName } from '../images/decoder.ts'
import { parseProbability } from '../run/options.ts'
import { publishedFile } from '../weights/pretrained.ts'
import { type Ablation, ablations, type PlanOptions } from './plan.ts'
import type { Settings } from './settings.ts'

export interface ExperimentOptions extends PlanOptions {
  /** `mnist`, or an ImageFolder. */
  dir: string
  dummy: boolean
  /** Undefined: resnet152, and for MNIST on a software adapter resnet18. */
  base?: ResNetName
  /** The base's weights: a file, or true for torchvision's own. Undefined: trained from zero, in `baseSteps` steps. */
  pretrained?: string | true
  baseSteps?: number
  imageSize?: number
  limitTrain?: number
  limitVal?: number
  batchSize: number
  epochs?: number
  lr: number
  momentum: number
  weightDecay: number
  workers: number
  decoder: DecoderName | 'auto'
  skipCorrupt: boolean
  /** Of the frozen base. */
  precision: Precision
  /** Augmentations of each training image; undefined: none, they are transformed as for validation. */
  views?: number
  output?: string
}

/** lr, momentum and weight decay are the original's. */
export const EXPERIMENT_DEFAULTS: ExperimentOptions = {
  dir: 'mnist',
  dummy: false,
  archs,
  p: [0.5],
  seeds: 3,
  seed: 0,
  ablate: [],
  samples: 3,
  batchSize: 64,
  lr: 0.01,
  momentum: 0.9,
  weightDecay: 1e-4,
  workers: 4,
  decoder: 'auto',
  skipCorrupt: false,
  precision: 'f32',
}

/** What is enough to show the experiment on MNIST: a minute or two of a software adapter. Pixels: 28, and a rim of black. */
const MNIST = { baseSteps: 100, imageSize: 32, limitTrain: 2000, limitVal: 2000, epochs: 5 }
/** The published runs'. */
const IMAGENET = { imageSize: 224, epochs: 20 }

/** Decides what was left open. @throws UsageError when no base is to be had */
export function settleExperiment(options: ExperimentOptions, dataset: Dataset, device: Device): Settings {
  const { dir, dummy, batchSize, lr, momentum, weightDecay, seed } = options
  const mnist = isMnist(options)
  const defaults: Partial<typeof MNIST> = mnist ? MNIST : IMAGENET
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined))
  const { baseSteps, imageSize, limitTrain, limitVal, epochs } = { ...defaults, ...given } as ExperimentOptions
  const base = options.base ?? (mnist && device.software ? 'resnet18' : 'resnet152')
  const pretrained = options.pretrained === true ? publishedFile(base) : (options.pretrained ?? null)
  if (pretrained && options.baseSteps !== undefined)
    throw new UsageError('--pretrained gives a trained base, --base-steps trains one: give one of them')
  if (!pretrained && baseSteps === undefined)
    throw new UsageError(`the heads want a trained base under them: give --pretrained [FILE], or --base-steps N`)
  const { train, val } = dataset
  return {
    dataset: dummy ? 'dummy' : mnist ? 'mnist' : resolve(dir),
    classes: train.classes.length,
    trainImages: Math.min(limitTrain ?? train.length, train.length),
    valImages: Math.min(limitVal ?? val.length, val.length),
    imageSize: imageSize!,
    views: options.views ?? null,
    skipCorrupt: options.skipCorrupt,
    precision: options.precision,
    base,
    pretrained: pretrained && resolve(pretrained),
    baseSteps: pretrained ? null : baseSteps!,
    baseSeed: seed,
    batchSize,
    epochs: epochs!,
    lr,
    momentum,
    weightDecay,
  }
}

const isMnist = ({ dir, dummy }: ExperimentOptions): boolean => dir === 'mnist' && !dummy

/** The folder of an experiment that was given none: the same for the same images, so that it goes on. */
export const defaultOutput = (options: ExperimentOptions): string =>
  join(
    'runs',
    options.dummy ? 'experiment-dummy' : isMnist(options) ? 'mnist' : `experiment-${basename(resolve(options.dir))}`,
  )

/** `Kakuritsu,White` or, by their first letters, `K,W`. @throws UsageError */
export function parseArchs(text: string): Arch[] {
  return parseList('--archs', text, (name) => {
    const arch = archs.find((arch) => arch === name || arch[0] === name)
    if (!arch) throw new UsageError(`--archs takes some of ${archs.join(', ')}, or K, D, W, given '${name}'`)
    return arch
  })
}

/** `0.3,0.5,0.7`. @throws UsageError */
export function parseProbabilities(text: string): number[] {
  return parseList('--p', text, (value) => {
    const p = parseProbability('--p', value)
    if (p === 0) throw new UsageError('--p takes probabilities above 0: where nothing fires, nothing is learnt')
    return p
  })
}

/** `gradient,logits`; all of them for `true`, which is the option without a list. @throws UsageError */
export function parseAblations(text: string | true): (Ablation | 'p')[] {
  const known = [...ablations, 'p'] as const
  if (text === true) return [...known]
  return parseList('--ablate', text, (name) => {
    const ablation = known.find((ablation) => ablation === name)
    if (!ablation) throw new UsageError(`--ablate takes some of ${known.join(', ')}, given '${name}'`)
    return ablation
  })
}

function parseList<T>(option: string, text: string, parse: (item: string) => T): T[] {
  const items = text
    .split(',')
    .map((item) => item.trim())
    .filter(Boolean)
  if (items.length === 0) throw new UsageError(`${option} takes a list, as in ${option} a,b; given '${text}'`)
  return [...new Set(items.map(parse))]
}
