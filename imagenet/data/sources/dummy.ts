import { createHash } from 'node:crypto'
import { imageStream } from '../../../engine/random.ts'
import type { Image } from '../../images/image.ts'
import type { Dataset, Source } from './source.ts'

/** As the original's --dummy: as many images and classes as ILSVRC2012. */
const TRAIN_IMAGES = 1_281_167
const VAL_IMAGES = 50_000
const CLASSES = 1000

/** Images begin at one of so many places of the same noise. */
const STARTS = 2 ** 16

/** Noise with random labels, to measure speed without a disk. Every image is a pure function of its split and index. */
export function openDummy(imageSize: number): Dataset {
  return {
    train: new DummySource('train', TRAIN_IMAGES, imageSize),
    val: new DummySource('val', VAL_IMAGES, imageSize),
  }
}

export class DummySource implements Source {
  readonly name: string
  readonly classes = Array.from({ length: CLASSES }, (_, label) => `class ${label}`)
  readonly length: number
  readonly channels = 3
  readonly transform = 'none'
  /** The original hands its fake images over as they are, in [0, 1]. */
  readonly mean = [0, 0, 0]
  readonly std = [1, 1, 1]
  readonly #seed: number
  readonly #imageSize: number
  readonly #noise: Uint32Array

  constructor(split: 'train' | 'val', length: number, imageSize: number) {
    this.name = `dummy ${split}`
    this.length = length
    this.#seed = split === 'train' ? 0 : 1
    this.#imageSize = imageSize
    const stream = imageStream(this.#seed, 1, 0)
    this.#noise = Uint32Array.from({ length: STARTS + Math.ceil((imageSize * imageSize * 3) / 4) }, () => stream.next())
  }

  label(index: number): number {
    return imageStream(this.#seed, 0, index).below(CLASSES)
  }

  fingerprint(indices: Uint32Array): string {
    return createHash('sha256').update(`${this.name} ${this.#imageSize}`).update(indices).digest('hex')
  }

  /** A stretch of the noise; the flipped bits tell apart the images that begin at the same place. */
  image(index: number): Image {
    const size = this.#imageSize
    const start = index % STARTS
    const flipped = Math.floor(index / STARTS) * 0x01010101
    const words = this.#noise.slice(start, start + Math.ceil((size * size * 3) / 4))
    if (flipped !== 0) for (let i = 0; i < words.length; i++) words[i] ^= flipped
    return { width: size, height: size, channels: 3, data: new Uint8Array(words.buffer, 0, size * size * 3) }
  }
}
