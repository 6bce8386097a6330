/** Whole runs in a second: a few small pictures, and a network of two layers under a small head. */
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { flatten, relu, type Tensor } from '../../engine/index.ts'
import type { Network } from '../../imagenet/run/model.ts'
import { DEFAULTS, type TrainOptions, type TrainRequest } from '../../imagenet/run/options.ts'
import type { OwnParts } from '../../imagenet/run/train.ts'
import {
  AdaptiveAvgPool2d,
  BatchNorm2d,
  Conv2d,
  type Generator,
  type Head,
  head,
  Module,
  pipe,
} from '../../nn/index.ts'
import { contents, linesOf } from '../bin/commands.ts'
import { picture, pngOf, temporaryFolder } from './pictures.ts'

class SmallBase extends Module {
  readonly features = 8
  conv = new Conv2d(3, 8, 3, { bias: false })
  bn = new BatchNorm2d(8)
  pool = new AdaptiveAvgPool2d(1)

  /** x: [N, H, W, 3] → [N, 8] */
  override forward(x: Tensor): Tensor {
    return pipe(x, this.conv, this.bn, relu, this.pool, flatten)
  }
}

export class SmallNet extends Module implements Network {
  base = new SmallBase()
  exp: Head

  constructor(classes: number, generator: Generator) {
    super()
    this.exp = head('Kakuritsu', { features: this.base.features, hidden: 16, classes, generator })
  }

  override forward(x: Tensor): Tensor {
    return this.exp.call(this.base.call(x))
  }
}

export const SMALL: OwnParts = { network: (classes, generator) => new SmallNet(classes, generator) }

export const CHECKPOINT = 'Exp_ResNet18_Kakuritsu.safetensors'

/** 14 pictures of two classes to train on, 6 to validate with. */
export function smallPictures(): string {
  const files: Record<string, Uint8Array> = {}
  for (let i = 0; i < 20; i++)
    files[`${i < 14 ? 'train' : 'val'}/${i % 2 ? 'cat' : 'dog'}/${i}.png`] = pngOf(picture(12 + i, 14, i))
  return temporaryFolder(files)
}

/** Two epochs of four steps, unless the options say more. */
export function smallRequest(options: Partial<TrainOptions> & Pick<TrainOptions, 'output'>): TrainRequest {
  const all: TrainOptions = {
    ...DEFAULTS,
    ...{ base: 'resnet18', imageSize: 8, batchSize: 4, seed: 5, workers: 0, printFreq: 1, epochs: 2, lr: 0.1 },
    ...{ decoder: 'jpeg-js' },
    ...options,
  }
  return { options: all, given: new Set(Object.keys(all) as (keyof TrainOptions)[]) }
}

/** A digest of a run's last checkpoint, tensors and all the rest, and of its metrics, but for speeds, threads and how often it is saved. */
export function digestOf(output: string): string {
  const { tensors, metadata } = contents(join(output, CHECKPOINT))
  const { sha256: _, options: written, ...rest } = metadata
  const { workers: __, save_every: ___, ...options } = JSON.parse(written)
  const lines = linesOf(join(output, 'metrics.jsonl')).map(({ images_per_s: _, ...line }) => line)
  const all = { tensors, metadata: { ...rest, options }, lines }
  return createHash('sha256').update(JSON.stringify(all)).digest('hex')
}
