import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import {
  EXPERIMENT_DEFAULTS,
  parseAblations,
  parseArchs,
  parseProbabilities,
} from '../../../imagenet/experiment/options.ts'
import {
  describeHead,
  isReference,
  type PlanOptions,
  planRuns,
  type RunSpec,
} from '../../../imagenet/experiment/plan.ts'
import { describeNoise, TABLE } from '../../../imagenet/experiment/table.ts'

const test = suite('experiment: plan')
const plan = (options: Partial<PlanOptions> = {}) => planRuns({ ...EXPERIMENT_DEFAULTS, seeds: 1, ...options })
const ways = ({ evaluations }: RunSpec) => evaluations.map(({ noise, passes }) => `${describeNoise(noise)} ×${passes}`)

test('a run a head and seed, whole tables first', () => {
  assert.equal(
    plan({ seeds: 2, seed: 5 }).map(({ id }) => id),
    ['Kakuritsu-p0.5-seed5', 'Dropout-seed5', 'White-seed5', 'Kakuritsu-p0.5-seed6', 'Dropout-seed6', 'White-seed6'],
  )
  assert.equal(
    plan({ archs: ['White'] }).map(({ id }) => id),
    ['White-seed0'],
  )
})

test('every row of the published table is evaluated', () => {
  const specs = plan()
  for (const { trained, evaluated } of TABLE) {
    const spec = specs.find(({ head }) => head.arch === trained)!
    assert.ok(
      ways(spec).some((way) => way.startsWith(`${describeNoise(evaluated)} ×`)),
      `${trained}, ${evaluated.kind}`,
    )
  }
})

test('the own noise comes first; noise takes samples, its absence one pass, a sweep one each', () => {
  const [k, d, w] = plan({ samples: 4 }).map(ways)
  const sweep = [0.1, 0.3, 0.7, 0.9].map((p) => `Kakuritsu p = ${p} ×1`)
  assert.equal(k, ['Kakuritsu p = 0.5 ×4', 'plain ×1', 'Dropout 0.5 ×4', ...sweep])
  assert.equal(d, ['Dropout 0.5 ×4', 'plain ×1', 'Kakuritsu p = 0.5 ×4', ...sweep])
  assert.equal(w, ['plain ×1', 'Kakuritsu p = 0.5 ×4', 'Dropout 0.5 ×4', ...sweep])
})

test('ablations change one thing each, at the p nearest to the original’s', () => {
  const all = plan({ p: [0.4, 0.8], ablate: ['gradient', 'logits', 'rescale', 'mask'] })
  const reference = all.find(({ id }) => id === 'Kakuritsu-p0.4-seed0')!
  const differences = (spec: RunSpec, other: RunSpec) =>
    Object.entries(spec.head).filter(([name, value]) => other.head[name as keyof RunSpec['head']] !== value)
  const changed = (variant: string) => all.find((spec) => spec.variant === variant)!
  assert.ok(isReference(reference, all))
  assert.not(isReference(all.find(({ id }) => id === 'Kakuritsu-p0.8-seed0')!, all))
  assert.equal(differences(changed('gradient'), reference), [['maskGradient', 'exact']])
  assert.equal(differences(changed('rescale'), reference), [['rescale', true]])
  assert.equal(differences(changed('mask'), reference), [['sharedMask', true]])
  const dropout = all.find(({ id }) => id === 'Dropout-seed0')!
  assert.equal(differences(changed('logits'), dropout), [['keepLogits', true]])
  // A changed head is evaluated under its own kind of noise.
  assert.ok(ways(changed('rescale')).includes('Kakuritsu p = 0.3, rescaled ×1'))
  assert.is(describeHead(changed('mask')), 'Kakuritsu p = 0.4, one mask for the batch')
  assert.is(new Set(all.map(({ id }) => id)).size, all.length)
})

test('p sweeps training as it sweeps evaluation', () => {
  const trained = plan({ ablate: ['p'], p: [0.5, 0.6], archs: ['Kakuritsu'] })
  assert.equal(
    trained.map(({ head }) => head.p),
    [0.1, 0.3, 0.5, 0.6, 0.7, 0.9],
  )
  for (const spec of trained) assert.is(spec.evaluations.filter(({ noise }) => noise.kind === 'kakuritsu').length, 6)
})

test('lists on the command line', () => {
  assert.equal(parseArchs('K,White'), ['Kakuritsu', 'White'])
  assert.throws(() => parseArchs('K,X'), /--archs takes some of .*, given 'X'/)
  assert.equal(parseProbabilities('0.3, 0.5'), [0.3, 0.5])
  for (const wrong of ['0', '1.5', 'x', '']) assert.throws(() => parseProbabilities(wrong), /--p takes/)
  assert.equal(parseAblations('logits,p'), ['logits', 'p'])
  assert.is(parseAblations(true).length, 5)
  assert.throws(() => parseAblations('dropout'), /--ablate takes some of gradient, .*, given 'dropout'/)
})

test.run()
