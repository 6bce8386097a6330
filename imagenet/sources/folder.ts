/** Folders of images as torchvision's `ImageFolder` reads them: a folder a class, numbered in the order of their names. */
import { createHash } from 'node:crypto'
import { type Dirent, readdirSync, realpathSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { decodeFile } from '../decode.ts'
import { UsageError } from '../errors.ts'
import type { Image } from '../image.ts'
import { type Dataset, IMAGENET_MEAN, IMAGENET_STD, type Source } from './source.ts'

/** Those of torchvision's IMG_EXTENSIONS that can be decoded here. */
export const IMAGE_EXTENSIONS = ['.jpg', '.jpeg', '.png']
const EXTENSIONS = '.jpg, .jpeg or .png'
const LAYOUT = 'give a folder that holds train/<class>/* and val/<class>/*'

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
 * @throws UsageError for a folder that is missing, empty or not laid out so, a class without images, and a class that
 * val has and train has not
 */
export function openFolder(root: string): Dataset {
  const splits = list(root).filter((entry) => isFolder(root, entry))
  const missing = ['train', 'val'].find((split) => !splits.some(({ name }) => name === split))
  if (missing) throw new UsageError(`${root} holds no folder '${missing}': ${LAYOUT}`)
  const train = indexFolder(join(root, 'train'))
  const val = indexFolder(join(root, 'val'), train.classes)
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
export function indexFolder(folder: string, classes?: readonly string[]): FolderIndex {
  const found = list(folder)
    .filter((entry) => isFolder(folder, entry))
    .map(({ name }) => name)
    .sort(byCodePoint)
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
    const images = findImages(folder, name)
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
function findImages(folder: string, className: string): string[] {
  const groups: { path: string; files: string[] }[] = []
  const visit = (path: string, parents: readonly string[]): void => {
    const real = realpathSync(join(folder, path))
    if (parents.includes(real)) return
    const group: { path: string; files: string[] } = { path, files: [] }
    groups.push(group)
    for (const entry of list(join(folder, path))) {
      if (isFolder(join(folder, path), entry)) visit(join(path, entry.name), [...parents, real])
      else if (isImageName(entry.name)) group.files.push(entry.name)
    }
    group.files.sort(byCodePoint)
  }
  visit(className, [])
  groups.sort((a, b) => byCodePoint(a.path, b.path))
  return groups.flatMap(({ path, files }) => files.map((file) => join(path, file)))
}

const isImageName = (name: string): boolean => IMAGE_EXTENSIONS.some((ending) => name.toLowerCase().endsWith(ending))

/** What a folder holds. @throws UsageError when it cannot be read */
function list(folder: string): Dirent[] {
  try {
    return readdirSync(folder, { withFileTypes: true })
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT') throw new UsageError(`there is no folder ${folder}: ${LAYOUT}`)
    if (code === 'ENOTDIR') throw new UsageError(`${folder} is not a folder: ${LAYOUT}`)
    throw new UsageError(`cannot read the folder ${folder} (${code})`)
  }
}

/** Whether an entry of `parent` is a folder or a link to one. */
function isFolder(parent: string, entry: Dirent): boolean {
  if (!entry.isSymbolicLink()) return entry.isDirectory()
  try {
    return statSync(join(parent, entry.name)).isDirectory()
  } catch {
    return false // a link to nothing or to itself; if it is named as an image, reading it will say so
  }
}

/**
 * Orders strings by code points, as Python sorts them. JavaScript orders by UTF-16 units, which differs where units of a
 * pair (D800 to DFFF) meet characters above them (E000 to FFFF).
 */
export function byCodePoint(a: string, b: string): number {
  const length = Math.min(a.length, b.length)
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i)
    const y = b.charCodeAt(i)
    if (x !== y) return liftPairs(x) - liftPairs(y)
  }
  return a.length - b.length
}

const liftPairs = (unit: number): number => (unit >= 0xd800 && unit < 0xe000 ? unit + 0x10000 : unit)
