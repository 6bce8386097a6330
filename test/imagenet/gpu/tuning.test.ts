/** The file of choices: what it takes in, what it leaves out, and who gets to tune at all. */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { relu, scope, Tensor, Tuner } from '../../../engine/index.ts'
import { readChoices, startTuning, tuningFile } from '../../../imagenet/gpu/tuning.ts'
import { describeAdapter, openDevice, train } from '../../../imagenet/index.ts'
import { testDevice } from '../../device.ts'
import { quietly } from '../../quietly.ts'
import { SHADER_CACHE } from '../../shader_cache.ts'
import { removeFolder } from '../pictures.ts'
import { digestOf, SMALL, smallPictures, smallRequest } from '../small_run.ts'

const test = suite('tuning')
const device = await testDevice()
const adapter = describeAdapter(device)
const folder = mkdtempSync(join(tmpdir(), 'tuning-'))
const file = join(folder, 'cache', 'adapter.json')
const dir = smallPictures()

/** Asks for a choice of relu's, and settles it. */
async function tuneRelu(options: { repeatable: boolean; setting?: string }): Promise<void> {
  const tuning = startTuning(device, { ...options, file })
  scope(() => {
    relu(Tensor.zeros(device, [2000]))
  })
  await tuning?.settle()
}

/** What the cache file holds when it is right. */
const cache = () => JSON.parse(readFileSync(file, 'utf8'))

test.before.each(() => {
  rmSync(dirname(file), { recursive: true, force: true })
})

test.after(() => {
  rmSync(folder, { recursive: true })
  removeFolder(dir)
  new Tuner(device).stop() // the other tests' device is tuned no more
})

test('writes what it measured, and goes by it the next time', async () => {
  await tuneRelu({ repeatable: false, setting: '1' })
  assert.equal(readdirSync(dirname(file)), ['adapter.json'], 'nothing temporary is left')
  const [[key, variant]] = Object.entries(cache().choices)
  assert.is(key, 'relu 2048')
  assert.equal([...readChoices(file, adapter)], [[key, variant]])
  const before = readFileSync(file, 'utf8')
  await tuneRelu({ repeatable: true, setting: '1' })
  assert.is(readFileSync(file, 'utf8'), before)
})

test('adds to what another process wrote meanwhile', async () => {
  await tuneRelu({ repeatable: false, setting: '1' })
  const tuning = startTuning(device, { repeatable: false, setting: '1', file })!
  const { choices, ...rest } = cache()
  writeFileSync(file, JSON.stringify({ ...rest, choices: { ...choices, 'other 1': 'fast' } }))
  scope(() => {
    relu(Tensor.zeros(device, [100000]))
  })
  await tuning.settle()
  assert.equal(Object.keys(cache().choices), ['other 1', 'relu 131072', 'relu 2048'])
})

test('takes no file that is damaged, hostile, old or another adapter’s, and replaces it', async () => {
  await tuneRelu({ repeatable: false, setting: '1' })
  const good = cache()
  const bad: [string, string][] = [
    ['empty', ''],
    ['cut short', JSON.stringify(good).slice(0, -9)],
    ['null', 'null'],
    ['no choices', JSON.stringify({ ...good, choices: null })],
    ['an old version', JSON.stringify({ ...good, version: 0 })],
    ['another driver', JSON.stringify({ ...good, adapter: { ...good.adapter, driver: '1.0' } })],
    ['a choice that is no name', JSON.stringify({ ...good, choices: { 'relu 2048': { toString: 1 } } })],
    ['a name too long', JSON.stringify({ ...good, choices: { 'relu 2048': 'x'.repeat(1000) } })],
    [
      'too many',
      JSON.stringify({ ...good, choices: Object.fromEntries(Array.from({ length: 5000 }, (_, i) => [i, 'x'])) }),
    ],
    ['too large', JSON.stringify(good) + ' '.repeat(2 ** 20)],
  ]
  for (const [what, text] of bad) {
    writeFileSync(file, text)
    assert.is(readChoices(file, adapter).size, 0, what)
    await tuneRelu({ repeatable: false, setting: '1' })
    assert.equal(Object.keys(cache().choices), ['relu 2048'], what)
  }
})

test('names that the op does not know are measured anew', async () => {
  await tuneRelu({ repeatable: false, setting: '1' })
  writeFileSync(file, JSON.stringify({ ...cache(), choices: { 'relu 2048': '__proto__' } }))
  await tuneRelu({ repeatable: false, setting: '1' })
  assert.match(cache().choices['relu 2048'], /^(short|long)$/)
})

test('does without a file that cannot be written', async () => {
  mkdirSync(folder, { recursive: true })
  writeFileSync(dirname(file), 'a file where the folder should be')
  await tuneRelu({ repeatable: false, setting: '1' })
  assert.ok(!existsSync(file))
  rmSync(dirname(file))
})

test('is off when it is told to be, and unless told for a software adapter', () => {
  assert.is(startTuning(device, { repeatable: false, setting: '0', file }), null)
  assert.is(startTuning(device, { repeatable: false, setting: '', file }) === null, device.software)
  assert.throws(() => startTuning(device, { repeatable: false, setting: 'yes' }), /KAKURITSU_TUNE is 0 .* or 1/)
})

test('each adapter and driver has a file of its own', () => {
  const path = tuningFile(adapter)
  assert.match(path, /kakuritsu.tuning.[a-z0-9-]+-[0-9a-f]{8}\.json$/)
  assert.is.not(tuningFile({ ...adapter, driver: 'another' }), path)
  assert.match(tuningFile({ ...adapter, name: '../../etc/passwd' }), /tuning.-etc-passwd/)
})

/** Trains a little in a process environment of its own; a digest of what comes out. */
async function trained(name: string, environment: Record<string, string>): Promise<string> {
  const before = Object.keys(environment).map((key) => [key, process.env[key]] as const)
  Object.assign(process.env, environment)
  const output = join(folder, name)
  try {
    assert.is(await quietly(() => train(smallRequest({ dir, output }), () => openDevice(), SMALL)), 0)
  } finally {
    for (const [key, value] of before) {
      if (value === undefined) delete process.env[key]
      else process.env[key] = value
    }
  }
  return digestOf(output)
}

test('with a seed, a run gives the same bits without tuning, with, and with whatever the cache says', async () => {
  const untuned = await trained('untuned', { KAKURITSU_TUNE: '0' })
  const environment = { KAKURITSU_TUNE: '1', XDG_CACHE_HOME: join(folder, 'home'), ...SHADER_CACHE }
  assert.is(await trained('tuned', environment), untuned)
  const [cacheFile] = readdirSync(join(folder, 'home'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.json'))
    .map((name) => join(folder, 'home', name))
  const written = JSON.parse(readFileSync(cacheFile, 'utf8'))
  const others = Object.entries(written.choices).map(([key, variant]) => [key, variant === 'long' ? 'short' : 'long'])
  assert.ok(others.length > 0)
  writeFileSync(cacheFile, JSON.stringify({ ...written, choices: Object.fromEntries(others) }))
  assert.is(await trained('tuned otherwise', environment), untuned)
})

test.run()
