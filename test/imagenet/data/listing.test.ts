import {
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { indexFolder, openFolder } from '../../../imagenet/data/sources/folder.ts'
import { Lister } from '../../../imagenet/data/sources/listing.ts'
import { UsageError } from '../../../imagenet/errors.ts'
import { removeFolder, temporaryFolder } from '../pictures.ts'

const test = suite('remembered listings')

/** Names in several scripts, and such as look like something else. */
const CLASSES = ['aardvark', 'собака', '犬', 'כלב', 'emoji 🐕', 'ünïcödé', '__proto__', 'a.jpg']

/** Four thousand empty files. */
function makeTree(): string {
  const root = temporaryFolder()
  for (const name of CLASSES) {
    mkdirSync(join(root, 'images/train', name), { recursive: true })
    mkdirSync(join(root, 'images/val', name), { recursive: true })
    for (let i = 0; i < 500; i++) writeFileSync(join(root, 'images/train', name, `${name} ${i}.JPEG`), '')
    writeFileSync(join(root, 'images/val', name, 'v.png'), '')
  }
  return root
}

/** As if the folders had last changed long ago: a start well after that. */
const later = (): number => Date.now() + 10_000

const TRAIN = 'images/train'

/** What a start finds, and how many folders it had to read; checked against a start that remembers nothing. */
function start(root: string): { files: readonly string[]; read: number } {
  const lister = new Lister({ file: join(root, 'runs/index'), now: later })
  const { files } = indexFolder(lister, join(root, TRAIN))
  lister.save()
  assert.equal(files, indexFolder(new Lister(), join(root, TRAIN)).files)
  return { files, read: lister.read }
}

test('spare a second start the reading of folders, and notice every change', () => {
  const root = makeTree()
  const train = join(root, TRAIN)
  assert.is(start(root).read, 1 + CLASSES.length)
  const { files, read } = start(root)
  assert.is(read, 0)
  assert.is(files.length, 500 * CLASSES.length)
  assert.ok(files.includes('犬/犬 7.JPEG'))

  // A file comes, goes, is renamed: its folder is read again.
  writeFileSync(join(train, '犬', 'new.jpg'), '')
  assert.is(start(root).read, 1)
  rmSync(join(train, 'собака', 'собака 3.JPEG'))
  renameSync(join(train, 'כלב', 'כלב 3.JPEG'), join(train, 'כלב', 'renamed.jpeg'))
  assert.is(start(root).read, 2)
  assert.is(start(root).read, 0)
  // So is one whose times were set back.
  writeFileSync(join(train, '__proto__', 'new.jpg'), '')
  utimesSync(join(train, '__proto__'), 0, 0)
  assert.is(start(root).read, 1)
  // A class comes, another goes: the split's own folder, and the class.
  mkdirSync(join(train, 'zebra/deep'), { recursive: true })
  writeFileSync(join(train, 'zebra/deep/1.jpg'), '')
  rmSync(join(train, 'aardvark'), { recursive: true })
  assert.is(start(root).read, 3)
  // A link takes a folder's place, and what is behind it changes.
  renameSync(join(train, 'zebra/deep'), join(root, 'deep'))
  symlinkSync(join(root, 'deep'), join(train, 'zebra/deep'))
  assert.is(start(root).read, 2)
  writeFileSync(join(root, 'deep/2.jpg'), '')
  assert.is(start(root).read, 1)
  assert.is(start(root).read, 0)
  removeFolder(root)
})

test('are not trusted when damaged', () => {
  const root = makeTree()
  const { files } = start(root)
  const index = join(root, 'runs/index')
  const whole = readFileSync(index, 'utf8')
  for (const text of ['', '{}', whole.slice(0, -9), whole.replace('犬 7.JPEG', '犬 8.JPEG')]) {
    writeFileSync(index, text)
    const again = start(root)
    assert.is(again.read, 1 + CLASSES.length)
    assert.equal(again.files, files)
  }
  removeFolder(root)
})

test('of folders that changed just before are not kept: they might change within the same tick of the clock', () => {
  const root = makeTree()
  const file = join(root, 'runs/index')
  const folder = join(root, 'images/train/犬')
  const list = (options: { now?: () => number } = {}): number => {
    const lister = new Lister({ file, ...options })
    lister.list(folder)
    lister.list(join(root, 'images/train/собака'))
    lister.save()
    return lister.read
  }
  assert.equal([list(), list()], [2, 2])
  assert.equal([list({ now: later }), list({ now: later })], [2, 0])
  removeFolder(root)
})

test('leave no file beside small folders, and none where none can be written', () => {
  const root = temporaryFolder({ 'images/train/a/1.jpg': '', 'images/val/a/1.jpg': '', 'no folder': '' })
  openFolder(join(root, 'images'), { file: join(root, 'runs/index'), now: later })
  assert.not.ok(existsSync(join(root, 'runs')))
  const large = makeTree()
  openFolder(join(large, 'images'), { file: join(root, 'no folder', 'index'), now: later })
  removeFolder(large)
  removeFolder(root)
})

test('say which folder cannot be read', () => {
  const name = join('/', 'x'.repeat(300))
  assert.throws(
    () => new Lister().list(name),
    (error: Error) => error instanceof UsageError && error.message === `cannot read the folder ${name} (ENAMETOOLONG)`,
  )
})

test.run()
