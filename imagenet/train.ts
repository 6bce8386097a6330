/** `train`: what `bin/train.js` does, from options to exit status. */
import { statSync } from 'node:fs'
import type { Device } from '../engine/index.ts'
import { type RunCheckpoint, readRunCheckpoint } from './checkpoint.ts'
import { openDataset } from './dataset.ts'
import { decoderLine } from './decoder.ts'
import { UsageError } from './errors.ts'
import { openWeights } from './formats/weights.ts'
import { adapterLine, describeAdapter } from './gpu.ts'
import { evaluationNoise, type TrainRequest } from './options.ts'
import { publishedWeights } from './pretrained.ts'
import { Run } from './run.ts'
import { settle } from './settle.ts'
import { startTuning } from './tuning.ts'

/**
 * Trains or evaluates, as the options say; returns the command's exit status.
 * @param open opens the device, after everything that can be refused without one
 * @throws UsageError for options, folders and checkpoints that cannot be used as given
 */
export async function train(request: TrainRequest, open: () => Promise<Device>): Promise<number> {
  const { resume, pretrained } = request.options
  if (typeof pretrained === 'string') refuseFolder(pretrained)
  const checkpoint: RunCheckpoint | null = resume === undefined ? null : await readRunCheckpoint(resume)
  const options = settle(request, checkpoint)
  const noise = evaluationNoise(options)
  const dataset = openDataset(options)
  if (pretrained === true && !checkpoint) await publishedWeights(options.base)
  const weights = options.pretrained === undefined || checkpoint ? null : await openWeights(options.pretrained)
  const device = await open()
  console.log(adapterLine(describeAdapter(device)))
  if (dataset.train.path) console.log(decoderLine(options.decoder, options.workers))
  try {
    startTuning(device, { repeatable: request.given.has('seed') || checkpoint !== null })
    const run = new Run(device, options, dataset, noise, { checkpoint, weights })
    checkpoint?.close()
    weights?.close()
    try {
      return options.evaluate ? await run.evaluate() : await run.train()
    } finally {
      await run.close()
    }
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
