/** What a run can be told, and what it takes when told nothing. */
import type { MaskGradient } from '../../engine/index.ts'
import type { Arch, HeadNoise, ResNetName } from '../../nn/index.ts'
import { UsageError } from '../errors.ts'
import type { Precision } from '../gpu/precision.ts'
import { MAX_PIXELS } from '../images/codecs/checks.ts'
import type { DecoderName } from '../images/decoder.ts'

export interface TrainOptions {
  /** An ImageFolder, or `mnist`. */
  dir: string
  arch: Arch
  base: ResNetName
  /** Probability with which a synapse of a Kakuritsu layer fires. */
  p: number
  maskGradient: MaskGradient
  workers: number
  epochs: number
  startEpoch: number
  batchSize: number
  /** Images that pass through the network at a time, where a batch does not fit the GPU's memory. */
  microBatch?: number
  /** Undefined: 0.01 for-experiment, 0.1 from zero. */
  lr?: number
  momentum: number
  weightDecay: number
  printFreq: number
  /** A checkpoint to go on from. */
  resume?: string
  evaluate: boolean
  /** Evaluates the head without its noise. */
  switch: boolean
  /** Evaluates the head with other noise than it trains with. */
  evalHead?: HeadNoise
  /** Weights for the base, in torchvision's names; true: those that torchvision publishes. The base is then frozen. */
  pretrained?: string | true
  /** Freezes the base without pretrained weights. */
  freeze: boolean
  /** Keeps the frozen base's BatchNorm in eval mode while the head trains. */
  freezeBn: boolean
  /** Of the frozen base's weights and activations. */
  precision: Precision
  /** Joins the statistics of BatchNorm in train mode over all processes of a run. */
  syncBn: boolean
  /** Undefined: drawn anew, and recorded. */
  seed?: number
  dummy: boolean
  /** Pixels a side that the network sees. */
  imageSize: number
  limitTrain?: number
  limitVal?: number
  /** What decodes JPEG files; auto: sharp where it is installed. */
  decoder: DecoderName | 'auto'
  /** Leaves images that cannot be decoded out, instead of ending with the first. */
  skipCorrupt: boolean
  /** Where images of a folder are resized: by the threads that decode them, or on the GPU. The result is the same. */
  resize: 'cpu' | 'gpu'
  /** Augmentations of a training image, taken in turn; undefined: every epoch draws its own. */
  views?: number
  /** Where the frozen base's features are kept, so that later epochs compute the head alone. */
  cacheFeatures?: string
  /** The most that the gradient's norm may be. */
  clipGradNorm?: number
  /** Looks at each layer's output and gradient, to name the first that is not finite. */
  detectAnomaly: boolean
  /** Steps between checkpoints within an epoch; undefined: one every SAVE_MINUTES. */
  saveEvery?: number
  /** Checkpoints that are kept, the newest and those before it. */
  keep: number
  /** How many steps to time on the GPU. */
  profile?: number
  /** Where the run's files go. Undefined: a new folder under `runs`, or the folder of the checkpoint resumed. */
  output?: string
}

export const DEFAULTS: TrainOptions = {
  dir: 'imagenet',
  arch: 'Kakuritsu',
  base: 'resnet152',
  p: 0.5,
  maskGradient: 'straight-through',
  workers: 4,
  epochs: 90,
  startEpoch: 0,
  batchSize: 64,
  momentum: 0.9,
  weightDecay: 1e-4,
  printFreq: 10,
  evaluate: false,
  switch: false,
  freeze: false,
  freezeBn: false,
  precision: 'f32',
  syncBn: false,
  dummy: false,
  imageSize: 224,
  decoder: 'auto',
  resize: 'cpu',
  skipCorrupt: false,
  detectAnomaly: false,
  keep: 2,
}

/** What an interruption may cost where `saveEvery` does not say: writing ResNet-152 and its momentum takes seconds. */
export const SAVE_MINUTES = 10

/** Options that say where a run goes on and what is done now: they do not carry over to a run resumed from it. */
export const OF_THIS_PROCESS: ReadonlySet<string> = new Set<keyof TrainOptions>([
  'resume',
  'evaluate',
  'output',
  'switch',
  'evalHead',
  'startEpoch',
  'profile',
  'detectAnomaly',
  // A file does not say where to write.
  'cacheFeatures',
])

/**
 * The most that some options may be: threads and checkpoints beyond any machine's, and pixels a side of the largest square
 * image that is decoded (MAX_PIXELS).
 */
export const MOST = { workers: 1024, keep: 1000, imageSize: Math.floor(Math.sqrt(MAX_PIXELS)) } as const

/** Steps that `--profile` times without a number. */
const PROFILED_STEPS = 5

/** Options as they came, and which of them the user gave. */
export interface TrainRequest {
  options: TrainOptions
  given: ReadonlySet<keyof TrainOptions>
}

/** Options of a run that is about to begin: nothing is left open. */
export type SettledOptions = TrainOptions & {
  lr: number
  seed: number
  output: string
  pretrained?: string
  decoder: DecoderName
}

/** For-experiment training: the base is not optimised. */
export const isFrozen = ({ pretrained, freeze }: TrainOptions): boolean => freeze || pretrained !== undefined

/** StepLR's parameters, which the original does not offer as options. */
export const SCHEDULE = { stepSize: 30, gamma: 0.1 }

/** How the head is evaluated: as it trains, unless `-sw` or `--eval-head` says otherwise. */
export function evaluationNoise({ switch: plain, evalHead }: TrainOptions): HeadNoise | null {
  if (plain && evalHead)
    throw new UsageError('-sw and --eval-head both say how the head is evaluated; give one of them')
  return plain ? { kind: 'plain' } : (evalHead ?? null)
}

/** `kakuritsu:0.5`, `dropout:0.5` or `plain`. @throws UsageError */
export function parseHeadNoise(text: string): HeadNoise {
  if (text === 'plain') return { kind: 'plain' }
  const [, kind, p] = text.match(/^(kakuritsu|dropout):(.+)$/) ?? []
  if (kind !== 'kakuritsu' && kind !== 'dropout')
    throw new UsageError(`--eval-head is kakuritsu:P, dropout:P or plain, given ${quoted(text)}`)
  return { kind, p: parseProbability(`--eval-head ${kind}`, p) }
}

/** @throws UsageError unless `text` is a number in [0, 1]. */
export function parseProbability(option: string, text: string): number {
  const p = Number(text)
  if (text.trim() === '' || !(p >= 0 && p <= 1))
    throw new UsageError(`${option} takes a probability from 0 to 1, given ${quoted(text)}`)
  return p
}

/** @throws UsageError unless `text` is a whole number from `least` to `most`. */
export function parseCount(option: string, text: string, least = 1, most = Number.MAX_SAFE_INTEGER): number {
  const count = Number(text)
  if (text.trim() !== '' && Number.isSafeInteger(count) && count >= least && count <= most) return count
  const range = most === Number.MAX_SAFE_INTEGER ? `from ${least} on` : `from ${least} to ${most}`
  throw new UsageError(`${option} takes a whole number ${range}, given ${quoted(text)}`)
}

/** What somebody gave, as far as it is of use in a sentence. */
const quoted = (text: string): string => `'${text.length > 80 ? `${text.slice(0, 80)}…` : text}'`

/** @throws UsageError unless `text` is a finite number that is not negative. */
export function parseRate(option: string, text: string): number {
  const rate = Number(text)
  if (text.trim() === '' || !Number.isFinite(rate) || rate < 0)
    throw new UsageError(`${option} takes a number that is not negative, given ${quoted(text)}`)
  return rate
}

/**
 * A command line's values as a request.
 * @param values by the names that the command line has for them
 * @param given names of the values that the user gave
 * @param dir the folder that the user named, if any
 */
export function requestOf(values: Record<string, unknown>, given: ReadonlySet<string>, dir?: string): TrainRequest {
  const { learningRate, ...rest } = values
  const options = { ...DEFAULTS, ...rest, lr: learningRate } as TrainOptions
  if (values.profile === true) options.profile = PROFILED_STEPS
  const names = new Set([...given].map((name) => (name === 'learningRate' ? 'lr' : name)) as (keyof TrainOptions)[])
  if (dir !== undefined) {
    options.dir = dir
    names.add('dir')
  }
  return { options, given: names }
}
