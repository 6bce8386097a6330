/**
 * What folders hold, remembered from one start to the next: reading the names of 1.28 million files again takes minutes
 * on a slow disk, asking a thousand folders for the time of their last change takes none.
 */
import { createHash } from 'node:crypto'
import { type Dirent, readdirSync, readFileSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { UsageError } from '../../errors.ts'
import { makeFolder, writeFileAtomic } from '../../files.ts'

/** Names in a folder, each list in the order of its code points. */
export interface Listing {
  /** Folders and links to folders. */
  readonly folders: readonly string[]
  readonly images: readonly string[]
}

/** A listing as it is remembered. A slash parts names, for no name holds one: reading that is faster than a list. */
interface Remembered {
  /** Of the folder when it was listed. */
  readonly stamp: string
  readonly folders: string
  readonly images: string
}

/** Those of torchvision's IMG_EXTENSIONS that can be decoded here. */
export const IMAGE_EXTENSIONS = ['.jpg', '.jpeg', '.png']

export const LAYOUT = 'give a folder that holds train/<class>/* and val/<class>/*'

/** Of the file: raised when its meaning changes. */
const FORMAT = 1

/** Fewer images are listed in no time, and leave no file behind. */
const WORTH_REMEMBERING = 1000

/**
 * Milliseconds. A folder that changed so shortly before it was listed could change again without its time telling: file
 * systems count time in steps of up to 2 s. It is listed again next time.
 */
const RACY = 2000

export interface ListerOptions {
  /** Where listings are remembered; without it nothing is. */
  readonly file?: string
  /** Milliseconds since 1970. */
  readonly now?: () => number
}

export class Lister {
  /** Folders that had to be read. */
  read = 0
  readonly #file: string | undefined
  readonly #now: () => number
  readonly #before: Map<string, Remembered>
  readonly #seen = new Map<string, Remembered>()
  #images = 0

  constructor({ file, now = Date.now }: ListerOptions = {}) {
    this.#file = file
    this.#now = now
    this.#before = file === undefined ? new Map() : recall(file)
  }

  /** @throws UsageError when the folder cannot be read */
  list(folder: string): Listing {
    const now = this.#now()
    const { stamp, changed } = describing(folder, () => stampOf(folder))
    const before = this.#before.get(folder)
    if (before?.stamp === stamp) {
      const listing = { folders: split(before.folders), images: split(before.images) }
      this.#note(folder, before, listing)
      return listing
    }
    this.read++
    const listing = describing(folder, () => readFolder(folder))
    const remembered = { stamp, folders: listing.folders.join('/'), images: listing.images.join('/') }
    this.#note(folder, changed + RACY < now ? remembered : undefined, listing)
    return listing
  }

  /** Remembers what was listed. A folder that cannot be written to is no reason to stop: the next start takes longer. */
  save(): void {
    if (this.#file === undefined || this.read === 0 || this.#images < WORTH_REMEMBERING) return
    const text = JSON.stringify({ format: FORMAT, folders: [...this.#seen] })
    try {
      makeFolder(dirname(this.#file))
      writeFileAtomic(this.#file, `${digest(text)}\n${text}`)
    } catch {}
  }

  #note(folder: string, remembered: Remembered | undefined, { images }: Listing): void {
    this.#images += images.length
    if (remembered) this.#seen.set(folder, remembered)
  }
}

/** Changes whenever an entry of the folder comes, goes or is renamed, and when another folder takes its place. */
function stampOf(folder: string): { stamp: string; changed: number } {
  const { dev, ino, mtimeNs, ctimeNs, ctimeMs } = statSync(folder, { bigint: true })
  return { stamp: [dev, ino, mtimeNs, ctimeNs].join(' '), changed: Number(ctimeMs) }
}

function readFolder(folder: string): Listing {
  const entries = readdirSync(folder, { withFileTypes: true })
  const folders: string[] = []
  const images: string[] = []
  for (const entry of entries) {
    if (isFolder(folder, entry)) folders.push(entry.name)
    else if (isImageName(entry.name)) images.push(entry.name)
  }
  return { folders: folders.sort(byCodePoint), images: images.sort(byCodePoint) }
}

export const isImageName = (name: string): boolean =>
  IMAGE_EXTENSIONS.some((ending) => name.toLowerCase().endsWith(ending))

/** Whether an entry of `parent` is a folder or a link to one. */
function isFolder(parent: string, entry: Dirent): boolean {
  if (!entry.isSymbolicLink()) return entry.isDirectory()
  try {
    return statSync(join(parent, entry.name)).isDirectory()
  } catch {
    return false // a link to nothing or to itself; if it is named as an image, reading it will say so
  }
}

function describing<T>(folder: string, use: () => T): T {
  try {
    return use()
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT') throw new UsageError(`there is no folder ${folder}: ${LAYOUT}`)
    if (code === 'ENOTDIR') throw new UsageError(`${folder} is not a folder: ${LAYOUT}`)
    throw new UsageError(`cannot read the folder ${folder} (${code})`)
  }
}

/** What a file remembers; nothing when there is none, or it is damaged or of another format. */
function recall(file: string): Map<string, Remembered> {
  try {
    const whole = readFileSync(file, 'utf8')
    const end = whole.indexOf('\n')
    const text = whole.slice(end + 1)
    const { format, folders } = whole.slice(0, end) === digest(text) ? JSON.parse(text) : {}
    const isText = (value: unknown) => typeof value === 'string'
    const isListing = (entry: Partial<Remembered>) => [entry.stamp, entry.folders, entry.images].every(isText)
    const listings: [string, Remembered][] = format === FORMAT ? folders : []
    return new Map(listings.filter(([folder, entry]) => isText(folder) && isListing(entry)))
  } catch {
    return new Map()
  }
}

const digest = (text: string): string => createHash('sha256').update(text).digest('hex')

const split = (names: string): string[] => (names === '' ? [] : names.split('/'))

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
