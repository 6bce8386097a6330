/** Images named one by one or by their folders, without labels. */
import { createHash } from 'node:crypto'
import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { byCodePoint, IMAGE_EXTENSIONS, isImageName } from '../data/sources/listing.ts'
import type { Source } from '../data/sources/source.ts'
import { UsageError } from '../errors.ts'
import { decodeFile } from '../images/decode.ts'
import type { Image } from '../images/image.ts'
import type { InputRecipe } from './classifier.ts'

/**
 * The files meant: those named, and for folders the images in them and below, in the order of their paths. Whether they
 * are there and are images shows when they are read.
 * @throws UsageError for a folder without images
 */
export function listImages(paths: readonly string[]): string[] {
  return paths.flatMap((path) => {
    if (!statSync(path, { throwIfNoEntry: false })?.isDirectory()) return [path]
    const files = readdirSync(path, { recursive: true, encoding: 'utf8' }).filter(isImageName).sort(byCodePoint)
    if (files.length === 0) throw new UsageError(`the folder ${path} holds no ${IMAGE_EXTENSIONS.join(', ')} file`)
    return files.map((name) => join(path, name))
  })
}

export class ImageList implements Source {
  readonly name = 'images'
  readonly classes: readonly string[] = []
  readonly channels = 3
  readonly length: number
  readonly transform: Source['transform']
  readonly mean: readonly number[]
  readonly std: readonly number[]
  readonly #files: readonly string[]

  constructor(files: readonly string[], { transform, mean, std }: InputRecipe) {
    this.length = files.length
    this.transform = transform
    this.mean = mean
    this.std = std
    this.#files = files
  }

  /** Nobody knows. */
  label(): number {
    return 0
  }

  path(index: number): string {
    return this.#files[index]
  }

  /** Of paths, sizes and times of change. */
  fingerprint(indices: Uint32Array): string {
    const hash = createHash('sha256')
    for (const index of indices) {
      const stat = statSync(this.path(index), { throwIfNoEntry: false })
      hash.update(`${this.path(index)} ${stat?.size} ${stat?.mtimeMs}\n`)
    }
    return hash.digest('hex')
  }

  image(index: number): Image {
    return decodeFile(this.path(index))
  }
}
