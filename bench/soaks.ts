/** The runs of a soak: the steps that training is made of, and a checkpoint each hundred. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Device } from '../engine/index.ts'
import {
  ExperimentNet,
  FeatureSet,
  imageSamples,
  Loader,
  openDummy,
  type Samples,
  saveWeights,
  trainStep,
} from '../imagenet/index.ts'
import { Generator, head, type Module, SGD } from '../nn/index.ts'
import { type Sample, watchSteps } from './steady.ts'

/** Small enough that 20,000 steps take minutes on a CPU: the number of steps is what counts. */
const BATCH = 16
const FEATURES = 64
const CLASSES = 10
const IMAGE_SIZE = 32

const OPTIONS = { lr: 0.01, momentum: 0.9, weightDecay: 1e-4 }

/** Steps of a Kakuritsu head on made-up features. */
export async function soakHead(device: Device, steps: number): Promise<Sample[]> {
  const generator = new Generator(1)
  const exp = head('Kakuritsu', { features: FEATURES, hidden: 100, classes: CLASSES, generator }).to(device)
  const optimizer = new SGD(exp.parameters(), OPTIONS)
  const rows = Float32Array.from({ length: 64 * FEATURES }, (_, i) => Math.sin(i))
  const set = new FeatureSet(
    rows,
    Uint32Array.from({ length: 64 }, (_, i) => i % CLASSES),
  )
  const batches = [...set.batches(BATCH)]
  const step = (n: number) => {
    generator.moveTo({ step: n })
    return trainStep(device, exp, optimizer, batches[n % batches.length], { gradNorm: n % 10 === 0 })
  }
  return watch(device, exp, optimizer, steps, step)
}

/** Steps of a whole ResNet-18 on made-up images that a loader gives. */
export async function soakNetwork(device: Device, steps: number): Promise<Sample[]> {
  const generator = new Generator(1)
  const options = { arch: 'Kakuritsu', base: 'resnet18', p: 0.5, maskGradient: 'straight-through' } as const
  const net = new ExperimentNet(options, 1000, generator).to(device).train() as ExperimentNet
  const optimizer = new SGD(net.parameters(), OPTIONS)
  const source = openDummy(IMAGE_SIZE).train
  const loading = { batchSize: 2, imageSize: IMAGE_SIZE, seed: 1, workers: 0, shuffle: true, limit: 8 }
  const loader = new Loader(source, loading)
  const batches: Samples[] = []
  for await (const batch of loader.epoch(0)) batches.push(imageSamples(batch, source))
  const step = (n: number) => {
    generator.moveTo({ step: n })
    return trainStep(device, net, optimizer, batches[n % batches.length], { clipGradNorm: 1 })
  }
  return watch(device, net, optimizer, steps, step)
}

async function watch(
  device: Device,
  model: Module,
  optimizer: SGD,
  steps: number,
  step: Parameters<typeof watchSteps>[2],
): Promise<Sample[]> {
  const folder = mkdtempSync(join(tmpdir(), 'kakuritsu-soak-'))
  try {
    return await watchSteps(device, steps, step, () => saveWeights(join(folder, 'model.safetensors'), model))
  } finally {
    rmSync(folder, { recursive: true })
    optimizer.zeroGrad()
    optimizer.free()
    model.free()
  }
}
