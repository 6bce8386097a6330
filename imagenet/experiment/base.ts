/** The network under the heads: trained from zero, or given; then frozen. */
import { existsSync } from 'node:fs'
import type { Device } from '../../engine/index.ts'
import { type ResNet, resnet, SGD, StepLR } from '../../nn/index.ts'
import { type Batch, Loader } from '../data/loader.ts'
import { imageSamples } from '../data/samples.ts'
import type { Dataset } from '../data/sources/source.ts'
import { setPrecision } from '../gpu/precision.ts'
import type { DecoderName } from '../images/decoder.ts'
import { loadBase, saveWeights } from '../run/checkpoint.ts'
import { evaluateStep, pipelined, trainStep } from '../run/loop.ts'
import { addBatch, averages, noTotals } from '../run/metrics.ts'
import { startProgress } from '../run/progress.ts'
import { openWeights } from '../weights/formats/weights.ts'
import { publishedFile, publishedWeights } from '../weights/pretrained.ts'
import { isWhole } from '../weights/seal.ts'
import type { ExperimentFolder } from './folder.ts'
import type { BaseResult } from './results.ts'
import type { Settings } from './settings.ts'

/** The learning rate, and after which share of the steps it falls to a tenth, so that the weights settle. */
const LR = 0.05
const LR_FALLS_AT = 0.8

/** How images are read: what a `Loader` takes. */
export interface Reading {
  workers: number
  decoder: DecoderName
  skipCorrupt: boolean
}

export interface BaseOptions {
  settings: Settings
  dataset: Dataset
  folder: ExperimentFolder
  reading: Reading
  stopped: () => boolean
  /** Called with each file that work could go on from, once it is written. */
  onSave?: (file: string) => void
}

/** The base in eval mode, without its last layer; null when it was stopped while it trained. */
export async function openBase(device: Device, options: BaseOptions): Promise<ResNet | null> {
  const { settings, folder } = options
  const trained = folder.file(`${settings.base}.safetensors`)
  if (!folder.base() || !(settings.pretrained || (await isSound(trained)))) {
    const result = settings.pretrained ? { acc1: null, seconds: null } : await trainBase(device, trained, options)
    if (!result) return null
    folder.saveBase(result)
    options.onSave?.(trained)
  }
  if (settings.pretrained === publishedFile(settings.base)) await publishedWeights(settings.base)
  const base = resnet(settings.base, { convOnly: true })
  await loadBase(base, settings.pretrained ?? trained)
  setPrecision(base, settings.precision, device)
  base.to(device).eval().requiresGrad(false)
  return base
}

/** Whether a trained base is there as it was saved; says so when it is there and damaged. */
async function isSound(file: string): Promise<boolean> {
  if (!existsSync(file)) return false
  try {
    ;(await openWeights(file)).close()
    if (isWhole(file)) return true
    console.error(`${file} is damaged: its checksum is another; training the base anew`)
  } catch (error) {
    console.error(`${(error as Error).message}; training the base anew`)
  }
  return false
}

/** Trains a ResNet with a last layer of its own from zero, writes its weights to `file`, and measures it. */
async function trainBase(device: Device, file: string, options: BaseOptions): Promise<BaseResult | null> {
  const start = performance.now()
  const { settings, dataset, reading, stopped } = options
  const { base: name, batchSize, imageSize, baseSeed: seed, momentum, weightDecay } = settings
  const steps = settings.baseSteps!
  const images = { batchSize, imageSize, seed, ...reading }
  const trainLoader = new Loader(dataset.train, { ...images, shuffle: true })
  const valLoader = new Loader(dataset.val, { ...images, shuffle: false, limit: settings.valImages })
  const net = resnet(name, { numClasses: settings.classes }).to(device, { seed })
  const optimizer = new SGD(net.parameters(), { lr: LR, momentum, weightDecay })
  const schedule = new StepLR(optimizer, Math.ceil(LR_FALLS_AT * steps))
  const progress = startProgress(`${name} from zero`, steps, batchSize)
  const work = (batch: Batch) => {
    const result = trainStep(device, net, optimizer, imageSamples(batch, dataset.train))
    schedule.step()
    return result
  }
  try {
    let done = 0
    for (let epoch = 0; done < steps && !stopped(); epoch++) {
      for await (const { loss } of pipelined(take(trainLoader.epoch(epoch), steps - done), work, stopped)) {
        const note = `loss ${loss.toFixed(3)}`
        progress.update(++done, note, done % 20 === 0 ? `${name} from zero: step ${done}/${steps}, ${note}` : undefined)
      }
    }
    progress.end()
    if (stopped()) return null
    optimizer.zeroGrad()
    net.eval()
    const totals = noTotals()
    const measure = (batch: Batch) => evaluateStep(device, net, imageSamples(batch, dataset.val))
    for await (const result of pipelined(valLoader.epoch(0), measure)) addBatch(totals, result)
    await saveWeights(file, net)
    return { acc1: averages(totals).acc1, seconds: (performance.now() - start) / 1000 }
  } finally {
    optimizer.free()
    net.free()
    await Promise.all([trainLoader.close(), valLoader.close()])
  }
}

/** The first `count` of some items. */
async function* take<T>(items: AsyncIterable<T>, count: number): AsyncGenerator<T> {
  if (count === 0) return
  for await (const item of items) {
    yield item
    if (--count === 0) return
  }
}
