/** Command lines: whatever is given for an option, it is a value within bounds or a UsageError of one short sentence. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import * as fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { UsageError } from '../../imagenet/errors.ts'
import { makeFolder } from '../../imagenet/files.ts'
import { parseCount, parseHeadNoise, parseProbability, parseRate } from '../../imagenet/run/options.ts'
import { removeFolder, temporaryFolder } from '../imagenet/pictures.ts'

const CASES = { numRuns: 2000, seed: 5 }

/** Longer than any sentence of ours with what was given in it. */
const LONG = 250

const numerals = fc.constantFrom(
  ...['1e999', '-1e999', '-1', '-0', '0x10', '1e3', '9007199254740993', 'NaN', 'Infinity', '', ' ', '١٢', '1_000'],
  ...['1.5', '0.1.2', '--lr', '../..', '__proto__', '9'.repeat(5000), '\u0000', '$(id)', '%s%n', '5;rm'],
)
const given = fc.oneof(numerals, fc.string(), fc.double().map(String), fc.bigInt().map(String))

function holds<T>(parse: (text: string) => T, isRight: (value: T) => boolean): void {
  const property = fc.property(given, (text) => {
    try {
      const value = parse(text)
      assert.ok(isRight(value), `${JSON.stringify(text)} gave ${value}`)
    } catch (error) {
      if (!(error instanceof UsageError)) throw error
      assert.ok(error.message.length < LONG, error.message)
    }
  })
  fc.assert(property, CASES)
}

const test = suite('command lines')

test('counts', () => {
  holds(
    (text) => parseCount('--epochs', text, 0),
    (value) => Number.isSafeInteger(value) && value >= 0,
  )
  holds(
    (text) => parseCount('--keep', text, 1, 1000),
    (value) => Number.isSafeInteger(value) && value >= 1 && value <= 1000,
  )
  assert.throws(() => parseCount('--keep', '1e15', 1, 1000), /--keep takes a whole number from 1 to 1000, given '1e15'/)
})

test('rates', () => {
  holds(
    (text) => parseRate('--lr', text),
    (value) => Number.isFinite(value) && value >= 0,
  )
})

test('probabilities', () => {
  holds(
    (text) => parseProbability('--p', text),
    (value) => value >= 0 && value <= 1,
  )
})

test('noise', () => {
  const kinds = ['kakuritsu:', 'dropout:', 'plain', 'plain:', '']
  for (const kind of kinds)
    holds(
      (text) => parseHeadNoise(kind + text),
      (noise) => noise.kind === 'plain' || (noise.p >= 0 && noise.p <= 1),
    )
})

test('every command has a bound for what it makes so many of', () => {
  const train = readFileSync('bin/train.ts', 'utf8')
  for (const option of ['workers', 'keep', 'imageSize']) assert.ok(train.includes(`MOST.${option}`), option)
})

test('a folder where none can be is refused, soon', () => {
  const folder = temporaryFolder()
  makeFolder(join(folder, 'a', 'b', '..', 'c'))
  makeFolder(join(folder, 'a', 'c'))
  assert.ok(existsSync(join(folder, 'a', 'c')))
  writeFileSync(join(folder, 'file'), '')
  assert.throws(() => makeFolder(join(folder, 'file')), /EEXIST/)
  assert.throws(() => makeFolder(join(folder, 'file', 'x')), /ENOTDIR|EEXIST/)
  assert.throws(() => makeFolder(join(folder, 'x'.repeat(5000))), /ENAMETOOLONG/)
  // Node's own way never ends here.
  if (existsSync('/proc/self')) assert.throws(() => makeFolder('/proc/x/y'), /ENOENT/)
  removeFolder(folder)
})

test.run()
