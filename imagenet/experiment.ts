/**
 * The whole experiment, small: a base is trained from zero on MNIST and frozen, heads K, D and W are trained on its
 * features, and each is evaluated in all the ways of the published table.
 */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { type Device, scope } from '../engine/index.ts'
import {
  type Arch,
  archs,
  Generator,
  type Head,
  type HeadNoise,
  head,
  type ResNet,
  type ResNetName,
  resnet,
  SGD,
  StepLR,
} from '../nn/index.ts'
import { saveWeights } from './checkpoint.ts'
import { writeFileAtomic } from './files.ts'
import { type Batch, Loader } from './loader.ts'
import { evaluateStep, pipelined, type Samples, trainStep } from './loop.ts'
import { type Averages, addBatch, averages, noTotals } from './metrics.ts'
import { SCHEDULE } from './options.ts'
import { startProgress } from './progress.ts'
import { FeatureSet, imageSamples } from './samples.ts'
import { openMnist } from './sources/mnist.ts'
import type { Source } from './sources/source.ts'
import { TABLE, type TableRow } from './table.ts'

export interface ExperimentOptions {
  /** resnet18 on a software adapter, resnet152 on a GPU, unless given. */
  base?: ResNetName
  /** Steps of the base's training. */
  steps: number
  batchSize: number
  /** Images that the heads are trained on, and images that base and heads are evaluated on. */
  trainImages: number
  valImages: number
  /** Epochs of each head. */
  epochs: number
  seed: number
  output: string
}

export const EXPERIMENT_DEFAULTS: Omit<ExperimentOptions, 'output'> = {
  steps: 100,
  batchSize: 64,
  trainImages: 2000,
  valImages: 2000,
  epochs: 10,
  seed: 0,
}

const CLASSES = 10

/** Pixels a side: MNIST's 28, and two rows of black on each side. */
const IMAGE_SIZE = 32

/** The base's learning rate, and after which share of the steps it falls to a tenth, so that its weights settle. */
const BASE_LR = 0.05
const BASE_LR_FALLS_AT = 0.8
/** The original's. */
const HEAD_LR = 0.01
const MOMENTUM = 0.9
const WEIGHT_DECAY = 1e-4

export interface ExperimentRow extends TableRow {
  measured: Averages
}

export interface ExperimentResult {
  base: ResNetName
  baseAcc1: number
  rows: ExperimentRow[]
  /** What was written. */
  files: string[]
}

export async function runExperiment(device: Device, options: ExperimentOptions): Promise<ExperimentResult> {
  const { output, seed, base = device.software ? 'resnet18' : 'resnet152' } = options
  mkdirSync(output, { recursive: true })
  const files: string[] = []
  const save = async (name: string, net: ResNet | Head) => {
    const file = join(output, name)
    await saveWeights(file, net)
    files.push(file)
  }

  const { net, acc1: baseAcc1 } = await trainBase(device, base, options)
  await save(`${base}.safetensors`, net)
  const features = await computeFeatures(device, base, net, options)
  net.free()

  // The masks that the table is measured with are none of those that chose the best epoch.
  const pass = options.epochs
  const rows: ExperimentRow[] = []
  for (const arch of archs) {
    const trained = await trainHead(device, arch, features, options)
    await save(`head_${arch}.safetensors`, trained.exp)
    for (const row of TABLE.filter(({ trained }) => trained === arch))
      rows.push({
        ...row,
        measured: await evaluateHead(device, trained, row.evaluated, features.val, options.batchSize, pass),
      })
    trained.exp.free()
  }

  const result: ExperimentResult = { base, baseAcc1, rows, files }
  const file = join(output, 'results.json')
  writeFileAtomic(
    file,
    `${JSON.stringify({ options: { ...options, seed, base }, base_acc1: baseAcc1, rows }, null, 2)}\n`,
  )
  files.push(file)
  return result
}

/** Trains a ResNet with a last layer of its own from zero, and measures it. */
async function trainBase(
  device: Device,
  name: ResNetName,
  options: ExperimentOptions,
): Promise<{ net: ResNet; acc1: number }> {
  const { steps, batchSize, seed, valImages } = options
  const { train, val } = openMnist()
  const loader = { batchSize, imageSize: IMAGE_SIZE, seed, workers: 0 }
  const trainLoader = new Loader(train, { ...loader, shuffle: true })
  const net = resnet(name, { numClasses: train.classes.length }).to(device, { seed })
  const optimizer = new SGD(net.parameters(), { lr: BASE_LR, momentum: MOMENTUM, weightDecay: WEIGHT_DECAY })
  const schedule = new StepLR(optimizer, Math.ceil(BASE_LR_FALLS_AT * steps))
  const progress = startProgress(`${name} from zero`, steps, batchSize)
  const work = (batch: Batch) => {
    const result = trainStep(device, net, optimizer, imageSamples(batch, train))
    schedule.step()
    return result
  }
  let done = 0
  for (let epoch = 0; done < steps; epoch++) {
    for await (const { loss } of pipelined(take(trainLoader.epoch(epoch), steps - done), work)) {
      const note = `loss ${loss.toFixed(3)}`
      progress.update(++done, note, done % 20 === 0 ? `${name} from zero: step ${done}/${steps}, ${note}` : undefined)
    }
  }
  progress.end()
  optimizer.zeroGrad()
  optimizer.free()
  net.eval()
  const valLoader = new Loader(val, { ...loader, shuffle: false, limit: valImages })
  const correct = noTotals()
  for await (const result of pipelined(valLoader.epoch(0), (batch) =>
    evaluateStep(device, net, imageSamples(batch, val)),
  ))
    addBatch(correct, result)
  return { net, acc1: averages(correct).acc1 }
}

interface Features {
  train: FeatureSet
  val: FeatureSet
}

/** The frozen base's features of the heads' images, computed once. */
async function computeFeatures(
  device: Device,
  name: ResNetName,
  trained: ResNet,
  { batchSize, trainImages, valImages, seed }: ExperimentOptions,
): Promise<Features> {
  const state = await trained.stateDict()
  for (const entry of ['fc.weight', 'fc.bias']) state.delete(entry)
  const base = resnet(name, { convOnly: true })
  base.loadStateDict(state)
  base.to(device).eval().requiresGrad(false)
  const dataset = openMnist()
  const of = async (source: Source, limit: number, title: string): Promise<FeatureSet> => {
    const options = { batchSize, imageSize: IMAGE_SIZE, seed, workers: 0, shuffle: false, limit }
    const loader = new Loader(source, options)
    const progress = startProgress(title, loader.steps, batchSize)
    const features = new Float32Array(loader.length * base.features)
    const labels = new Uint32Array(loader.length)
    const work = async (batch: Batch) => {
      const rows = scope(() => base.call(imageSamples(batch, source).input(device, 0, batch.size)).read())
      return { batch, rows: await rows }
    }
    let done = 0
    let steps = 0
    for await (const { batch, rows } of pipelined(loader.epoch(0), work)) {
      features.set(rows, done * base.features)
      labels.set(batch.labels, done)
      done += batch.size
      progress.update(++steps, `${done} images`)
    }
    progress.end()
    return new FeatureSet(features, labels)
  }
  const features = {
    train: await of(dataset.train, trainImages, 'features, train'),
    val: await of(dataset.val, valImages, 'features, val  '),
  }
  base.free()
  return features
}

interface TrainedHead {
  exp: Head
  /** Of its masks. */
  generator: Generator
}

/** Trains a head as `EXPERIMENT_DEFAULTS` says, and gives it as it was at its best epoch. */
async function trainHead(
  device: Device,
  arch: Arch,
  features: Features,
  options: ExperimentOptions,
): Promise<TrainedHead> {
  const { batchSize, epochs, seed } = options
  const { train, val } = features
  const generator = new Generator(seed)
  const exp = head(arch, { features: train.width, classes: CLASSES, generator }).to(device, { seed })
  const optimizer = new SGD(exp.parameters(), { lr: HEAD_LR, momentum: MOMENTUM, weightDecay: WEIGHT_DECAY })
  const schedule = new StepLR(optimizer, SCHEDULE.stepSize, SCHEDULE.gamma)
  const steps = train.steps(batchSize)
  const progress = startProgress(`head ${arch}`.padEnd(14), steps * epochs, batchSize)
  let best = { acc1: -1, state: await exp.stateDict() }
  let step = 0
  let done = 0
  for (let epoch = 0; epoch < epochs; epoch++) {
    const totals = noTotals()
    const work = (batch: Samples) => {
      generator.moveTo({ step: step++ })
      return trainStep(device, exp, optimizer, batch)
    }
    for await (const result of pipelined(train.batches(batchSize, { seed, epoch }), work)) {
      addBatch(totals, result)
      progress.update(++done, `epoch ${epoch} loss ${averages(totals).loss.toFixed(3)}`)
    }
    schedule.step()
    const { acc1 } = await evaluateHead(device, { exp, generator }, null, val, batchSize, epoch)
    if (acc1 > best.acc1) best = { acc1, state: await exp.stateDict() }
    const line = `head ${arch}: epoch ${epoch}, loss ${averages(totals).loss.toFixed(3)}, Acc@1 ${acc1.toFixed(2)}`
    progress.update(done, `Acc@1 ${acc1.toFixed(2)}`, line)
  }
  progress.end()
  exp.loadStateDict(best.state)
  optimizer.zeroGrad()
  optimizer.free()
  return { exp, generator }
}

/**
 * @param noise null: that which the head is trained with
 * @param pass which draw of the head's masks
 */
async function evaluateHead(
  device: Device,
  { exp, generator }: TrainedHead,
  noise: HeadNoise | null,
  features: FeatureSet,
  batchSize: number,
  pass: number,
): Promise<Averages> {
  exp.noise = noise
  let sample = 0
  const work = (batch: Samples) => {
    generator.moveTo({ phase: 'validation', step: pass, sample })
    sample += batch.labels.length
    return evaluateStep(device, exp, batch)
  }
  const totals = noTotals()
  for await (const result of pipelined(features.batches(batchSize), work)) addBatch(totals, result)
  exp.noise = null
  return averages(totals)
}

/** The first `count` of some items. */
async function* take<T>(items: AsyncIterable<T>, count: number): AsyncGenerator<T> {
  if (count === 0) return
  for await (const item of items) {
    yield item
    if (--count === 0) return
  }
}
