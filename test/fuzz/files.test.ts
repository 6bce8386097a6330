/**
 * Files beside images and weights that a run takes up: metrics, the tuning cache, cached features, remembered folders,
 * checkpoints, experiments. Whatever is in one, reading it ends in what it should hold or in a UsageError, and writes
 * nothing but what it should. test/corpus/ keeps what was once taken wrongly.
 */
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import * as fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { FeatureStore } from '../../imagenet/data/features/store.ts'
import { Lister } from '../../imagenet/data/sources/listing.ts'
import { UsageError } from '../../imagenet/errors.ts'
import { ExperimentFolder } from '../../imagenet/experiment/folder.ts'
import type { RunSpec } from '../../imagenet/experiment/plan.ts'
import { mergeRuns } from '../../imagenet/experiment/shard.ts'
import { readChoices } from '../../imagenet/gpu/tuning.ts'
import { readRunCheckpoint } from '../../imagenet/run/checkpoint.ts'
import { MetricsLog } from '../../imagenet/run/metrics.ts'
import { DEFAULTS, type SettledOptions } from '../../imagenet/run/options.ts'
import { settle } from '../../imagenet/run/settle.ts'
import { convert } from '../../imagenet/weights/convert.ts'
import { openWeights } from '../../imagenet/weights/formats/weights.ts'
import { writeSafetensors } from '../../nn/index.ts'
import { removeFolder, temporaryFolder } from '../imagenet/pictures.ts'
import { damaged, disturbed } from './damage.ts'

/** Of each kind of damage. */
const CASES = { numRuns: 300, seed: 11 }

const test = suite('hostile files')
const folder = temporaryFolder()
const file = join(folder, 'given')
const CORPUS = 'test/corpus'

/** Runs `use` on every way of damage to a file of JSON, or of lines of it. */
function onDamage(good: object, use: (content: string | Uint8Array) => void): void {
  fc.assert(
    fc.property(disturbed(good), (value) => use(JSON.stringify(value) ?? '')),
    CASES,
  )
  fc.assert(fc.property(damaged(Buffer.from(JSON.stringify(good))), use), CASES)
}

/** What `run` gives, or null where it ends in a UsageError. */
function orRefused<T>(run: () => T): T | null {
  try {
    return run()
  } catch (error) {
    if (error instanceof UsageError) return null
    throw error
  }
}

const corpus = (kind: string): Buffer[] =>
  readdirSync(join(CORPUS, kind)).map((name) => readFileSync(join(CORPUS, kind, name)))

test('metrics', () => {
  const line = { phase: 'train', epoch: 0, step: 5, loss: 1, acc1: 2, acc5: 3, lr: 0.1, images_per_s: 4 }
  const take = (content: string | Uint8Array) => {
    writeFileSync(file, content)
    new MetricsLog(file, { epoch: 1, step: 7 })
    for (const kept of readFileSync(file, 'utf8').split('\n').filter(Boolean)) {
      const { epoch, step } = JSON.parse(kept)
      assert.ok(epoch < 1 || (epoch === 1 && step <= 7), kept)
    }
    assert.equal(readdirSync(folder), ['given'])
  }
  for (const content of corpus('metrics')) take(content)
  onDamage(line, take)
})

test('the tuning cache', () => {
  const adapter = { name: 'a', backend: 'vulkan', driver: 'b' } as Parameters<typeof readChoices>[1]
  const { name, backend, driver } = adapter
  const good = { version: 1, adapter: { name, backend, driver }, choices: { 'relu 2048': 'short' } }
  writeFileSync(file, JSON.stringify(good))
  assert.is(readChoices(file, adapter).size, 1)
  onDamage(good, (content) => {
    writeFileSync(file, content)
    for (const [key, variant] of readChoices(file, adapter))
      assert.ok(typeof key === 'string' && typeof variant === 'string' && variant.length <= 200)
  })
})

test('cached features', () => {
  const layout = { key: { weights: 'w' }, rows: 3, width: 2 }
  const path = join(folder, 'features')
  const open = <T>(use: (store: FeatureStore) => T): T => {
    const store = new FeatureStore(path, layout)
    try {
      return use(store)
    } finally {
      store.close()
    }
  }
  open((store) => store.write(0, Float32Array.of(1, 2, 3, 4, 5, 6), [1]))
  const good = JSON.parse(readFileSync(`${path}.json`, 'utf8'))
  assert.equal(
    open((store) => [store.missing().length, ...store.skipped]),
    [0, 1],
  )
  const take = (content: string | Uint8Array) => {
    writeFileSync(`${path}.json`, content)
    open((store) => {
      const whole = store.missing().length === 0
      assert.equal([...store.skipped], whole ? [1] : [])
    })
  }
  for (const content of corpus('features')) take(content)
  onDamage(good, take)
  for (const suffix of ['.json', '.f32']) rmSync(`${path}${suffix}`)
})

test('remembered folders', () => {
  const images = temporaryFolder({ 'train/a/1.png': 'x' })
  const { dev, ino, mtimeNs, ctimeNs } = statSync(images, { bigint: true })
  const good = {
    format: 1,
    folders: [[images, { stamp: [dev, ino, mtimeNs, ctimeNs].join(' '), folders: 'train', images: '' }]],
  }
  onDamage(good, (content) => {
    const digest = createHash('sha256').update(content).digest('hex')
    writeFileSync(file, Buffer.concat([Buffer.from(`${digest}\n`), Buffer.from(content)]))
    const { folders, images: names } = new Lister({ file }).list(images)
    for (const name of [...folders, ...names]) assert.type(name, 'string')
  })
  removeFolder(images)
})

/** A checkpoint of nearly nothing. */
const METADATA = {
  format: 'pt',
  base: 'resnet18',
  arch: 'Kakuritsu',
  epoch: 1,
  step: 0,
  best_acc1: 50,
  seed: 3,
  random_state: { generator: 'threefry4x32-13', seed: 3, step: 10 },
  totals: { samples: 0, loss: 0, correct1: 0, correct5: 0 },
  optimizer: { name: 'SGD', lr: 0.1, momentum: 0.9, weight_decay: 0.0001 },
  scheduler: { step_size: 30, gamma: 0.1, last_epoch: 1 },
  options: { dir: 'mnist', epochs: 3, batch_size: 16, workers: 2, p: 0.5, keep: 2, freeze: false, views: 3 },
  classes: ['a', 'b'],
}

function checkpointFile(metadata: unknown): Uint8Array {
  const texts = Object.entries((metadata ?? {}) as object).map(([key, value]) => [
    key,
    typeof value === 'string' ? value : JSON.stringify(value),
  ])
  const tensor = { dtype: 'F32', shape: [2], data: Float32Array.of(1, 2) } as const
  return Buffer.concat([...writeSafetensors(new Map([['exp.li1.weight', tensor]]), Object.fromEntries(texts))])
}

/** Takes a checkpoint up, as `--resume` does, and checks what the run would go by. */
async function resume(content: Uint8Array): Promise<SettledOptions | null> {
  writeFileSync(file, content)
  try {
    const checkpoint = await readRunCheckpoint(file)
    try {
      const options = settle({ options: { ...DEFAULTS, resume: file }, given: new Set(['resume']) }, checkpoint)
      assert.is(options.output, dirname(file), 'writes beside the checkpoint')
      assert.is(options.cacheFeatures, undefined, 'and nowhere else')
      assert.is(Object.getPrototypeOf(options), Object.prototype)
      for (const [name, least] of Object.entries({ batchSize: 1, workers: 0, keep: 1, imageSize: 1, epochs: 0 })) {
        const value = options[name as keyof SettledOptions] as number
        assert.ok(Number.isSafeInteger(value) && value >= least, `${name} ${value}`)
      }
      assert.ok(options.workers <= 1024 && options.keep <= 1000)
      return options
    } finally {
      checkpoint.close()
    }
  } catch (error) {
    if (error instanceof UsageError) return null
    throw error
  }
}

test('checkpoints', async () => {
  assert.is((await resume(checkpointFile(METADATA)))?.batchSize, 16)
  for (const content of corpus('checkpoints')) await resume(content)
  await fc.assert(
    fc.asyncProperty(disturbed(METADATA), async (metadata) => {
      await resume(checkpointFile(metadata))
    }),
    CASES,
  )
  await fc.assert(
    fc.asyncProperty(damaged(checkpointFile(METADATA)), async (content) => {
      await resume(content)
    }),
    CASES,
  )
})

test('a checkpoint does not say where a run writes, nor how it ends', async () => {
  const outside = join(folder, 'outside')
  for (const options of [
    { cache_features: outside, freeze: true, freeze_bn: true, views: 2 },
    { output: outside },
    { resume: outside },
    JSON.parse(`{"__proto__": {"output": "${outside}", "cacheFeatures": "${outside}"}}`),
  ])
    assert.ok(await resume(checkpointFile({ ...METADATA, options })))
  for (const options of [{ keep: 1e15 }, { workers: 1e6 }, { batch_size: -1 }, { image_size: 1e9 }, { dir: 7 }])
    assert.is(await resume(checkpointFile({ ...METADATA, options })), null)
  assert.not.ok(existsSync(outside))
})

test('names of tensors are no paths', async () => {
  const given = temporaryFolder()
  const names = ['../../outside', '/tmp/outside', '..\\outside', 'a/data/0', '__proto__', '\u001b[2J']
  const tensors = new Map(names.map((name) => [name, { dtype: 'F32', shape: [1], data: Float32Array.of(1) } as const]))
  writeFileSync(join(given, 'in.safetensors'), Buffer.concat([...writeSafetensors(tensors, {})]))
  for (const output of ['out.pth', 'back.safetensors']) {
    const weights = await openWeights(join(given, output === 'out.pth' ? 'in.safetensors' : 'out.pth'))
    await convert(weights, join(given, output))
    assert.equal([...weights.tensors.keys()], names)
    weights.close()
  }
  assert.equal(readdirSync(given).sort(), ['back.safetensors', 'in.safetensors', 'out.pth'])
  assert.not.ok(existsSync(join(given, '../../outside')))
  removeFolder(given)
})

test('experiments', () => {
  const path = join(folder, 'experiment')
  const spec = { id: 'White-seed0', variant: 'published', head: { arch: 'White' }, seed: 0, evaluations: [] }
  const good = { settings: { dataset: 'mnist', classes: 10 }, command: 'x', plan: [spec] }
  const result = { spec, epochs: [], evaluations: [{ noise: { kind: 'plain' }, passes: [] }] }
  mkdirSync(join(path, 'runs', spec.id), { recursive: true })
  onDamage(good, (content) => {
    writeFileSync(join(path, 'experiment.json'), content)
    const read = orRefused(() => new ExperimentFolder(path).experiment())
    for (const { id } of read?.plan ?? []) assert.is(dirname(join('runs', id)), 'runs')
  })
  onDamage(result, (content) => {
    writeFileSync(join(path, 'runs', spec.id, 'result.json'), content)
    const read = orRefused(() => new ExperimentFolder(path).result(spec as unknown as RunSpec))
    if (read) assert.ok(Array.isArray(read.evaluations))
  })
  removeFolder(path)
})

test('a result goes by the plan’s name, whatever it calls itself', () => {
  const evaluations = [{ noise: { kind: 'plain' }, passes: 1 }]
  const spec = { id: 'White-seed0', variant: 'published', head: { arch: 'White' }, seed: 0, evaluations }
  const [ours, theirs] = ['ours', 'theirs'].map((name) => join(folder, 'merged', name))
  for (const path of [ours, theirs]) {
    mkdirSync(join(path, 'runs', spec.id), { recursive: true })
    writeFileSync(join(path, 'experiment.json'), JSON.stringify({ settings: {}, command: '', plan: [spec] }))
  }
  const hostile = {
    spec: { ...spec, id: '../../../outside' },
    evaluations: [{ noise: { kind: 'plain' }, passes: [1] }],
  }
  writeFileSync(join(theirs, 'runs', spec.id, 'result.json'), JSON.stringify(hostile))
  assert.is(mergeRuns(new ExperimentFolder(ours), [spec as unknown as RunSpec], [theirs]), 1)
  assert.equal(readdirSync(join(folder, 'merged')).sort(), ['ours', 'theirs'])
  assert.not.ok(existsSync(join(folder, 'outside')))
  assert.ok(existsSync(join(ours, 'runs', spec.id, 'result.json')))
  removeFolder(join(folder, 'merged'))
})

test.after(() => removeFolder(folder))
test.run()
