/** What a run goes by: the options given, what a checkpoint carries over, and defaults that depend on both. */
import { randomInt } from 'node:crypto'
import { dirname, join } from 'node:path'
import { UsageError } from '../errors.ts'
import { chooseDecoder } from '../images/decoder.ts'
import { publishedFile } from '../weights/pretrained.ts'
import { carriedOptions } from './carried.ts'
import type { RunCheckpoint } from './checkpoint.ts'
import { isFrozen, type SettledOptions, type TrainOptions, type TrainRequest } from './options.ts'

/**
 * Decides what was left open. What the user did not give is as in the checkpoint resumed, where there is one.
 * @throws UsageError for options that contradict each other or the checkpoint.
 */
export function settle({ options, given }: TrainRequest, checkpoint: RunCheckpoint | null): SettledOptions {
  const merged = { ...options }
  if (checkpoint) {
    Object.assign(merged, carriedOptions(checkpoint.options, given))
    refuseOtherModel(merged, checkpoint.options)
    if (checkpoint.state.step > 0 && merged.batchSize !== checkpoint.options.batchSize)
      throw new UsageError(
        `the checkpoint is from within an epoch of batches of ${checkpoint.options.batchSize}: finish that epoch before --batch-size changes`,
      )
  }
  if (merged.evaluate && merged.resume === undefined && merged.pretrained === undefined)
    console.error('train: no --resume: this evaluates random weights')
  if (merged.freezeBn && !isFrozen(merged))
    throw new UsageError('--freeze-bn is for a frozen base: add --pretrained or --freeze')
  if (merged.precision === 'f16' && !isFrozen(merged))
    throw new UsageError(
      '--precision f16 is for a frozen base (gradients would need their loss scaled, which is not done): add --pretrained or --freeze',
    )
  if (merged.syncBn && (merged.microBatch ?? Infinity) < merged.batchSize)
    throw new UsageError('--sync-bn joins the statistics of whole batches: leave --micro-batch out')
  if (merged.cacheFeatures !== undefined && !merged.evaluate) refuseWithoutFeatures(merged)
  return {
    ...merged,
    pretrained: merged.pretrained === true ? publishedFile(merged.base) : merged.pretrained,
    lr: merged.lr ?? (isFrozen(merged) ? 0.01 : 0.1),
    decoder: chooseDecoder(merged.decoder),
    seed: merged.seed ?? randomInt(2 ** 48 - 1),
    // An evaluation leaves the files of the run that it looks at alone.
    output:
      merged.output ?? (merged.resume === undefined || merged.evaluate ? newFolder(merged) : dirname(merged.resume)),
  }
}

/** Features are an image's own only when nothing of the base changes or looks at other images. */
function refuseWithoutFeatures({ freezeBn, views }: TrainOptions): void {
  if (!freezeBn)
    throw new UsageError(
      '--cache-features is for a base that stays as it is: add --freeze-bn and --pretrained or --freeze',
    )
  if (views === undefined)
    throw new UsageError(
      '--cache-features wants --views K: how many augmentations of each training image to keep (10, say)',
    )
}

function refuseOtherModel(options: TrainOptions, trained: Pick<TrainOptions, 'base' | 'arch'>): void {
  for (const name of ['base', 'arch'] as const)
    if (options[name] !== trained[name])
      throw new UsageError(
        `the checkpoint is of --${name} ${trained[name]}, not ${options[name]}: leave --${name} out${name === 'arch' ? ' (--eval-head evaluates a head any way)' : ''}`,
      )
}

/** `runs/2026-11-24T07-30-00-resnet152-Kakuritsu`: a folder that no earlier run has written to. */
const newFolder = ({ base, arch }: TrainOptions): string =>
  join('runs', `${new Date().toISOString().slice(0, 19).replaceAll(':', '-')}-${base}-${arch}`)
