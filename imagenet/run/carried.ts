/**
 * The options that a checkpoint carries over to the run that goes on from it. Whoever made the file: they are what the
 * command line would take, or refused, and none of them says where anything is written.
 */
import { archs, resnetNames } from '../../nn/index.ts'
import { UsageError } from '../errors.ts'
import { PRECISIONS } from '../gpu/precision.ts'
import { DECODERS } from '../images/decoder.ts'
import { MOST, OF_THIS_PROCESS, type TrainOptions } from './options.ts'

type Check = (value: unknown) => boolean

const text: Check = (value) => typeof value === 'string'
const flag: Check = (value) => typeof value === 'boolean'
const rate: Check = (value) => typeof value === 'number' && Number.isFinite(value) && value >= 0
const probability: Check = (value) => rate(value) && (value as number) <= 1
const oneOf =
  (...names: readonly unknown[]): Check =>
  (value) =>
    names.includes(value)
const count =
  (least = 1, most = Number.MAX_SAFE_INTEGER): Check =>
  (value) =>
    Number.isSafeInteger(value) && (value as number) >= least && (value as number) <= most

const CARRIED: Readonly<Partial<Record<keyof TrainOptions, Check>>> = {
  dir: text,
  arch: oneOf(...archs),
  base: oneOf(...resnetNames),
  p: probability,
  maskGradient: oneOf('straight-through', 'exact'),
  workers: count(0, MOST.workers),
  epochs: count(0),
  batchSize: count(),
  microBatch: count(),
  lr: rate,
  momentum: rate,
  weightDecay: rate,
  printFreq: count(),
  pretrained: text,
  freeze: flag,
  freezeBn: flag,
  precision: oneOf(...PRECISIONS),
  syncBn: flag,
  seed: count(0),
  dummy: flag,
  imageSize: count(1, MOST.imageSize),
  limitTrain: count(),
  limitVal: count(),
  decoder: oneOf('auto', ...DECODERS),
  skipCorrupt: flag,
  resize: oneOf('cpu', 'gpu'),
  views: count(),
  clipGradNorm: rate,
  saveEvery: count(),
  keep: count(1, MOST.keep),
}

/**
 * @param saved what the checkpoint says; names that are not known here are passed over
 * @param given options that the user gave, which count in place of those
 * @throws UsageError for a value that no command line could have given
 */
export function carriedOptions(
  saved: Readonly<Record<string, unknown>>,
  given: ReadonlySet<string>,
): Partial<TrainOptions> {
  const carried: Record<string, unknown> = {}
  for (const [name, check] of Object.entries(CARRIED)) {
    if (!Object.hasOwn(saved, name) || given.has(name) || OF_THIS_PROCESS.has(name)) continue
    const value = saved[name]
    if (value === undefined) continue
    if (!check(value))
      throw new UsageError(
        `the checkpoint's option ${name} is ${JSON.stringify(value).slice(0, 80)}, which no run can have had: give that option anew`,
      )
    carried[name] = value
  }
  return carried
}
