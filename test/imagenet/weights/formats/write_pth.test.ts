import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { ByteReader } from '../../../../imagenet/weights/formats/byte_reader.ts'
import { OrderedDict, type Picklable, PyFloat, pickle } from '../../../../imagenet/weights/formats/pickle.ts'
import { unpickle } from '../../../../imagenet/weights/formats/unpickle.ts'
import { openWeights } from '../../../../imagenet/weights/formats/weights.ts'
import { writePth } from '../../../../imagenet/weights/formats/write_pth.ts'
import { bytesSource } from '../../../../nn/formats/source.ts'
import { FileTensor, FormatError, type SavedTensor } from '../../../../nn/index.ts'
import { removeFolder, temporaryFolder } from '../../pictures.ts'

const test = suite('write_pth')
const folder = temporaryFolder()
test.after(() => removeFolder(folder))

const ODD = 'test/fixtures/pth/odd.pth'

/** A pickle without tensors, there and back. */
function thereAndBack(value: Picklable): unknown {
  const { bytes } = pickle(value)
  const rules = { global: () => undefined, persistent: () => assert.unreachable() }
  return unpickle(new ByteReader(bytesSource(bytes), 0, bytes.length), rules)
}

test('writes what it reads back, to the bit, views made whole', async () => {
  const file = join(folder, 'odd.pth')
  const [from, contents] = [
    await openWeights(ODD),
    (tensors: ReadonlyMap<string, FileTensor>) =>
      [...tensors].map(([name, tensor]) => [
        name,
        tensor.dtype,
        tensor.shape,
        Buffer.from(tensor.bytes()).toString('hex'),
      ]),
  ]
  await writePth(file, new OrderedDict(from.tensors))
  const back = await openWeights(file)
  assert.equal(contents(back.tensors), contents(from.tensors))
  from.close()
  back.close()
})

test('writes equal contents as equal files, and leaves no other file', async () => {
  const from = await openWeights(ODD)
  for (const name of ['one', 'two']) await writePth(join(folder, `${name}.pth`), new OrderedDict(from.tensors))
  from.close()
  assert.ok(readFileSync(join(folder, 'one.pth')).equals(readFileSync(join(folder, 'two.pth'))))
  assert.equal(
    readdirSync(folder).filter((name) => name.endsWith('.tmp')),
    [],
  )
})

test('pickles what JSON can say, whole numbers as ints and PyFloats as floats', () => {
  const values: Picklable[] = [
    null,
    true,
    false,
    0,
    -1,
    2 ** 31,
    -(2 ** 53) + 1,
    0.1,
    Number.NaN,
    'grüße',
    [],
    [1, ['a']],
  ]
  assert.equal(thereAndBack(values), values)
  const dict = new Map<string | number, Picklable>([
    ['a', 1],
    [0, new Map([['b', null]])],
    ['__proto__', 2],
  ])
  assert.equal(thereAndBack(dict), dict)
  assert.is(pickle(1).bytes[2], 'J'.charCodeAt(0), 'BININT')
  assert.is(pickle(new PyFloat(1)).bytes[2], 'G'.charCodeAt(0), 'BINFLOAT')
})

test('refuses a dtype that PyTorch before 2.3 has not, before a file is there', async () => {
  const file = join(folder, 'u16.pth')
  const tensor: SavedTensor = { dtype: 'U16', shape: [1], data: new Uint16Array(1) }
  await rejects(writePth(file, new OrderedDict([['w', tensor]])), FormatError, /a tensor of U16/)
  assert.not.ok(readdirSync(folder).some((name) => name.startsWith('u16')))
})

test('a tensor that cannot be read leaves what was there', async () => {
  const file = join(folder, 'one.pth')
  const before = readFileSync(file)
  const broken = new FileTensor('F32', [1], () => {
    throw new FormatError('the disk is gone')
  })
  await rejects(writePth(file, new OrderedDict([['w', broken]])), FormatError, /the disk is gone/)
  assert.ok(readFileSync(file).equals(before))
  assert.equal(
    readdirSync(dirname(file)).filter((name) => name.endsWith('.tmp')),
    [],
  )
})

async function rejects(work: Promise<unknown>, type: unknown, message: RegExp): Promise<void> {
  const error = await work.then(
    () => assert.unreachable('it did not throw'),
    (error: Error) => error,
  )
  assert.instance(error, type)
  assert.match((error as Error).message, message)
}

test.run()
