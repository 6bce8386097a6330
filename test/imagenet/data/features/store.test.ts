import { readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { CHUNK_ROWS, FeatureStore, type Layout } from '../../../../imagenet/data/features/store.ts'
import { removeFolder, temporaryFolder } from '../../pictures.ts'

const test = suite('feature store')
const folder = temporaryFolder()

/** Two chunks and a half of another. */
const LAYOUT: Layout = { key: { weights: 'w', view: 0 }, rows: 2.5 * CHUNK_ROWS, width: 3 }
const feature = (row: number, i: number): number => Math.fround(row + i / 7)

/** Opens a store, runs `use` and closes it. */
function within<T>(name: string, use: (store: FeatureStore) => T, layout = LAYOUT): T {
  const store = new FeatureStore(join(folder, name), layout)
  try {
    return use(store)
  } finally {
    store.close()
  }
}

/** Writes the chunk that begins at row `first`. */
function fill(store: FeatureStore, first: number, skipped: number[] = []): void {
  const rows = Math.min(CHUNK_ROWS, store.rows - first)
  store.write(
    first,
    Float32Array.from({ length: rows * 3 }, (_, i) => feature(first + Math.floor(i / 3), i % 3)),
    skipped,
  )
}

const fillAll = (store: FeatureStore): void => {
  for (let first = 0; first < store.rows; first += CHUNK_ROWS) fill(store, first)
}

/** Changes a byte of a file. */
function damage(file: string, offset: number): void {
  const bytes = readFileSync(file)
  bytes[offset] ^= 1
  writeFileSync(file, bytes)
}

test('gives back rows in any order, those of other chunks and neighbours too', async () => {
  const store = new FeatureStore(join(folder, 'rows'), LAYOUT)
  assert.equal(store.missing(), [{ first: 0, end: LAYOUT.rows }])
  fillAll(store)
  assert.equal(store.missing(), [])
  const rows = Uint32Array.of(5, 6, 7, 2559, 0, 1023, 1024, 5)
  const wanted = Array.from(rows, (row) => [0, 1, 2].map((i) => feature(row, i))).flat()
  assert.equal([...(await store.read(rows))], wanted)
  store.close()
})

test('goes on where a build was interrupted', () => {
  within('interrupted', (store) => fill(store, CHUNK_ROWS))
  within('interrupted', (store) => {
    assert.is(store.damaged, 0)
    assert.equal(store.missing(), [
      { first: 0, end: CHUNK_ROWS },
      { first: 2 * CHUNK_ROWS, end: LAYOUT.rows },
    ])
    fill(store, 0)
    fill(store, 2 * CHUNK_ROWS)
  })
  within('interrupted', (store) => assert.equal(store.missing(), []))
})

test('finds a chunk that is damaged, and that one only', () => {
  within('damaged', fillAll)
  damage(join(folder, 'damaged.f32'), CHUNK_ROWS * 12 + 100)
  within('damaged', (store) => {
    assert.is(store.damaged, 1)
    assert.equal(store.missing(), [{ first: CHUNK_ROWS, end: 2 * CHUNK_ROWS }])
  })
  truncateSync(join(folder, 'damaged.f32'), 100)
  within('damaged', (store) => assert.equal(store.missing(), [{ first: 0, end: LAYOUT.rows }]))
})

test('trusts nothing where the list of checksums is of something else, or broken', () => {
  const stale: Layout[] = [
    { ...LAYOUT, key: { weights: 'other', view: 0 } },
    { ...LAYOUT, rows: LAYOUT.rows - 1 },
    { ...LAYOUT, width: 2 },
  ]
  for (const layout of stale) {
    within('stale', fillAll)
    within('stale', (store) => assert.equal(store.missing(), [{ first: 0, end: layout.rows }]), layout)
  }
  const file = join(folder, 'broken.json')
  within('broken', fillAll)
  const whole = readFileSync(file, 'utf8')
  for (const text of [
    '',
    'null',
    '[]',
    '{"chunks": 1}',
    whole.slice(0, -100),
    whole.replace(/"sha256":"./, '"sha256":"x'),
  ]) {
    writeFileSync(file, text)
    within('broken', (store) => assert.ok(store.missing().length > 0, text.slice(0, 20)))
  }
})

test('remembers which images could not be decoded', () => {
  within('skipped', (store) => {
    fill(store, 0, [3, 1000])
    fill(store, CHUNK_ROWS)
  })
  within('skipped', (store) => assert.equal([...store.skipped], [3, 1000]))
  const file = join(folder, 'skipped.json')
  writeFileSync(file, readFileSync(file, 'utf8').replace('[3,1000]', '[3]'))
  within('skipped', (store) => assert.equal([store.damaged, ...store.skipped], [1]))
})

test.after(() => removeFolder(folder))
test.run()
