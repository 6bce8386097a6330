/** `train`: what `bin/train.js` does, from options to exit status. */
import { createHash } from 'node:crypto'
import { statSync } from 'node:fs'
import type { Device } from '../../engine/index.ts'
import { openDataset } from '../data/dataset.ts'
import type { Dataset } from '../data/sources/source.ts'
import { UsageError } from '../errors.ts'
import { adapterLine, describeAdapter } from '../gpu/open.ts'
import { startTuning } from '../gpu/tuning.ts'
import { decoderLine } from '../images/decoder.ts'
import { CommonRefusal, everywhere, onFirst, refuseDifferences } from '../parallel/agree.ts'
import type { Communicator } from '../parallel/communicator.ts'
import { versions } from '../versions.ts'
import { openWeights, type WeightsFile } from '../weights/formats/weights.ts'
import { publishedWeights } from '../weights/pretrained.ts'
import { type RunCheckpoint, readNewestCheckpoint } from './checkpoint.ts'
import { evaluationNoise, type SettledOptions, type TrainRequest } from './options.ts'
import { explained, recovering } from './recovery.ts'
import { Run } from './run.ts'
import type { SessionOptions } from './session.ts'
import { settle } from './settle.ts'

/** What is trained on what, where it is not as the options say. */
export type OwnParts = Pick<SessionOptions, 'network'> & { dataset?: Dataset }

/**
 * Trains or evaluates, as the options say; returns the command's exit status.
 * @param open opens the device, after everything that can be refused without one
 * @throws UsageError for options, folders and checkpoints that cannot be used as given
 */
export async function train(request: TrainRequest, open: () => Promise<Device>, own: OwnParts = {}): Promise<number> {
  let first: Start | null = await settleStart(request)
  const { options } = first
  const { dataset = openDataset(options), network } = own
  return recovering(async (saved, onSave) => {
    const start = first ?? (await reopen(options, saved))
    first = null
    return runOn(await open(), request, { ...start, network, onSave }, dataset)
  })
}

/**
 * `train` as one rank of several, on a device that is open: rank 0 reads the files that a run starts from and settles the
 * options for all.
 */
export async function trainAsRank(request: TrainRequest, device: Device, comm: Communicator): Promise<number> {
  await refuseDifferences(comm, { ...versions(), ...request.options, given: [...request.given].sort() })
  let files: Pick<Start, 'checkpoint' | 'weights'> = { checkpoint: null, weights: null }
  const options = await onFirst(comm, async () => {
    const start = await settleStart(request)
    files = start
    return start.options
  })
  const dataset = await openEverywhere(comm, options)
  return runOn(device, request, { options, ...files }, dataset, comm)
}

/** Opens the images on every rank. @throws CommonRefusal when one cannot, or has others */
async function openEverywhere(comm: Communicator, options: SettledOptions): Promise<Dataset> {
  if (options.batchSize < comm.size)
    throw new CommonRefusal(
      `--batch-size ${options.batchSize} leaves some of ${comm.size} ranks without images: it is divided over them`,
    )
  const opened: Dataset[] = []
  const describe = () => {
    const dataset = openDataset(options)
    opened.push(dataset)
    const classes = createHash('sha256').update(JSON.stringify(dataset.train.classes)).digest('hex')
    return { 'training images': dataset.train.length, 'validation images': dataset.val.length, classes }
  }
  const descriptions = await everywhere(comm, describe)
  await refuseDifferences(comm, descriptions[comm.rank])
  return opened[0]
}

/** What a run starts from, beside images and a device. */
interface Start extends Pick<SessionOptions, 'network' | 'onSave'> {
  options: SettledOptions
  checkpoint: RunCheckpoint | null
  weights: WeightsFile | null
}

async function settleStart(request: TrainRequest): Promise<Start> {
  const { resume, pretrained } = request.options
  if (typeof pretrained === 'string') refuseFolder(pretrained)
  const checkpoint: RunCheckpoint | null = resume === undefined ? null : await readNewestCheckpoint(resume)
  const options = settle(request, checkpoint)
  evaluationNoise(options) // refuses
  if (pretrained === true && !checkpoint) await publishedWeights(options.base)
  const weights = options.pretrained === undefined || checkpoint ? null : await openWeights(options.pretrained)
  return { options, checkpoint, weights }
}

/** Opens again what a run starts from: the last checkpoint it has saved, or what it began with. */
async function reopen(options: SettledOptions, saved: string | null): Promise<Start> {
  const resume = saved ?? options.resume
  const checkpoint = resume === undefined ? null : await readNewestCheckpoint(resume)
  const weights = options.pretrained === undefined || checkpoint ? null : await openWeights(options.pretrained)
  return { options, checkpoint, weights }
}

async function runOn(
  device: Device,
  request: TrainRequest,
  { options, checkpoint, weights, ...more }: Start,
  dataset: Dataset,
  comm?: Communicator,
): Promise<number> {
  console.log(adapterLine(describeAdapter(device)))
  if (dataset.train.path) console.log(decoderLine(options.decoder, options.workers))
  try {
    startTuning(device, { repeatable: request.given.has('seed') || options.resume !== undefined })
    const noise = evaluationNoise(options)
    const run = new Run({ device, options, dataset, evaluationNoise: noise, checkpoint, weights, ...more, comm })
    checkpoint?.close()
    weights?.close()
    try {
      return options.evaluate ? await run.evaluate() : await run.train()
    } finally {
      await run.close()
    }
  } catch (error) {
    throw explained(error, options)
  } finally {
    device.destroy()
  }
}

/** `--pretrained imagenet` may be meant as `--pretrained` and a folder, as in the original. */
function refuseFolder(pretrained: string): void {
  if (statSync(pretrained, { throwIfNoEntry: false })?.isDirectory())
    throw new UsageError(
      `--pretrained ${pretrained} names a folder: if that holds the images, write it before --pretrained`,
    )
}
