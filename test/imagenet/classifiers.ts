/** Small classifiers in files, for the tests of prediction. */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { saveRunCheckpoint, saveWeights } from '../../imagenet/run/checkpoint.ts'
import { noTotals } from '../../imagenet/run/metrics.ts'
import { ExperimentNet } from '../../imagenet/run/model.ts'
import { DEFAULTS } from '../../imagenet/run/options.ts'
import { type Arch, Generator, resnet, SGD, StepLR } from '../../nn/index.ts'
import { testDevice } from '../device.ts'

/** A ResNet-18 of torchvision's kind, with random weights. */
export async function saveTorchvision(file: string, numClasses: number): Promise<string> {
  const network = resnet('resnet18', { numClasses }).to(await testDevice(), { seed: 3 })
  await saveWeights(file, network)
  network.free()
  return file
}

/** A checkpoint of a run on MNIST at 32 pixels that never took a step. */
export async function saveCheckpoint(folder: string, arch: Arch, classes: readonly string[]): Promise<string> {
  const options = {
    ...DEFAULTS,
    dir: 'mnist',
    base: 'resnet18',
    arch,
    imageSize: 32,
    lr: 0.1,
    seed: 3,
    pretrained: undefined,
    decoder: 'jpeg-js',
  } as const
  const model = new ExperimentNet(options, classes.length, new Generator(3)).to(await testDevice(), { seed: 3 })
  const optimizer = new SGD(model.parameters(), { lr: 0.1 })
  const state = { epoch: 0, step: 0, globalStep: 0, totals: noTotals(), bestAcc1: 0 }
  const parts = { model, optimizer, scheduler: new StepLR(optimizer, 30, 0.1) }
  mkdirSync(folder, { recursive: true })
  const file = await saveRunCheckpoint(folder, {
    state,
    options: { ...options, output: join(folder, 'run') },
    parts,
    classes,
    best: false,
  })
  model.free()
  return file
}
