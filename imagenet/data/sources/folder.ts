/** Folders of images as torchvision's `ImageFolder` reads them: a folder a class, numbered in the order of their names. */
import { createHash } from 'node:crypto'
import { realpathSync, statSync } from 'node:fs'
import { join, sep } from 'node:path'
import { UsageError } from '../../errors.ts'
import { decodeFile } from '../../images/decode.ts'
import type { Image } from '../../images/image.ts'
import { byCodePoint, LAYOUT, Lister, type ListerOptions } from './listing.ts'
import { type Dataset, IMAGENET_MEAN, IMAGENET_STD, type Source } from './source.ts'

const EXTENSIONS = '.jpg, .jpeg or .png'

/** What a split holds; plain data, all that reading 1.28 million names comes to. */
export interface FolderIndex {
  readonly folder: string
  readonly classes: readonly string[]
  /** Paths below `folder`. */
  readonly files: readonly string[]
  /** A class a file. */
  readonly labels: Uint32Array
}

/**
 * Opens `root`/train and `root`/val.
 *
 * @param options where names are remembered, so that the next start does not read them again
 * @throws UsageError for a folder that is missing, empty or not laid out so, a class without images, and a class that
 * val has and train has not
 */
export function openFolder(root: string, options: ListerOptions = {}): Dataset {
  const lister = new Lister(options)
  const { folders } = lister.list(root)
  const missing = ['train', 'val'].find((split) => !folders.includes(split))
  if (missing) throw new UsageError(`${root} holds no folder '${missing}': ${LAYOUT}`)
  const train = indexFolder(lister, join(root, 'train'))
  const val = indexFolder(lister, join(root, 'val'), train.classes)
  lister.save()
  return { train: new FolderSource(train, 'train'), val: new FolderSource(val, 'val') }
}

/** Images [h, w, 3] of any sizes. */
export class FolderSource implements Source {
  readonly name: string
  readonly classes: readonly string[]
  readonly length: number
  readonly channels = 3
  readonly transform: 'train' | 'val'
  readonly mean = IMAGENET_MEAN
  readonly std = IMAGENET_STD
  readonly #index: FolderIndex

  constructor(index: FolderIndex, transform: 'train' | 'val') {
    this.name = index.folder
    this.classes = index.classes
    this.length = index.files.length
    this.transform = transform
    this.#index = index
  }

  label(index: number): number {
    return this.#index.labels[index]
  }

  path(index: number): string {
    return join(this.#index.folder, this.#index.files[index])
  }

  /** Of names, classes, sizes and times of change: whoever writes a file anew changes one of them. */
  fingerprint(indices: Uint32Array): string {
    const hash = createHash('sha256')
    for (const index of indices) {
      const stat = statSync(this.path(index), { throwIfNoEntry: false })
      hash.update(`${index} ${this.label(index)} ${this.#index.files[index]} ${stat?.size} ${stat?.mtimeMs}\n`)
    }
    return hash.digest('hex')
  }

  /** Decoded by the portable decoders. */
  image(index: number): Image {
    return decodeFile(this.path(index))
  }
}

/**
 * Reads the names below a split's folder.
 *
 * @param classes that labels are to count in; those found here, by default. Not each of them needs to be here.
 * @throws UsageError as `openFolder`
 */
export function indexFolder(lister: Lister, folder: string, classes?: readonly string[]): FolderIndex {
  const found = lister.list(folder).folders
  if (found.length === 0) throw new UsageError(`${folder} holds no class folders: ${LAYOUT}`)
  const labelOf = new Map((classes ?? found).map((name, label) => [name, label]))
  const unknown = found.filter((name) => !labelOf.has(name))
  if (unknown.length > 0) {
    const more = unknown.length > 3 ? ` and ${unknown.length - 3} more` : ''
    const names = unknown.slice(0, 3).map((name) => `'${name}'`)
    throw new UsageError(`${folder} has classes that train has not: ${names.join(', ')}${more}`)
  }
  const files: string[] = []
  const labels: number[] = []
  for (const name of found) {
    const images = findImages(lister, folder, name)
    if (images.length === 0)
      throw new UsageError(`the class folder ${join(folder, name)} holds no ${EXTENSIONS} file: fill or remove it`)
    for (const image of images) {
      files.push(image)
      labels.push(labelOf.get(name)!)
    }
  }
  return { folder, classes: classes ?? found, files, labels: Uint32Array.from(labels) }
}

/**
 * The images of a class folder and the folders in it, as paths below `folder`: folders in the order of their paths,
 * then files in the order of their names. Linked folders are followed, but not back into themselves.
 */
function findImages(lister: Lister, folder: string, className: string): string[] {
  const groups: { path: string; images: readonly string[] }[] = []
  const visit = (path: string, parents: readonly string[]): void => {
    const { folders, images } = lister.list(join(folder, path))
    const real = realpathSync.native(join(folder, path))
    if (parents.includes(real)) return
    groups.push({ path, images })
    for (const name of folders) visit(join(path, name), [...parents, real])
  }
  visit(className, [])
  groups.sort((a, b) => byCodePoint(a.path, b.path))
  return groups.flatMap(({ path, images }) => images.map((name) => `${path}${sep}${name}`))
}
