import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { EXPERIMENT_DEFAULTS } from '../../../imagenet/experiment/options.ts'
import { planRuns, type RunSpec } from '../../../imagenet/experiment/plan.ts'
import { publishedRows, summarize } from '../../../imagenet/experiment/summary.ts'
import { planOf, resultOf } from './made_up.ts'

const test = suite('experiment: summary')

const near = (actual: number | null, expected: number) =>
  assert.ok(actual !== null && Math.abs(actual - expected) < 1e-9, `${actual}, not ${expected}`)

/** Accuracy at a run's own noise: by head, and a point more with each seed. The second pass has two points more. */
const OWN: Record<RunSpec['variant'] | 'Dropout', number> = {
  published: 80,
  Dropout: 50,
  gradient: 74,
  logits: 71,
  rescale: 80,
  mask: 78,
}
const own = ({ variant, head }: RunSpec) =>
  OWN[variant === 'published' && head.arch === 'Dropout' ? 'Dropout' : variant]
const runs = (seeds: number, specs = planOf({ seeds, ablate: ['gradient', 'logits', 'rescale', 'mask'] })) =>
  specs.map((spec) => resultOf(spec, (_, pass) => own(spec) + spec.seed + 2 * pass))

test('seeds and passes are kept apart', () => {
  const { rows } = summarize(runs(3))
  const row = rows.find(({ variant, head, own }) => variant === 'published' && head.arch === 'Kakuritsu' && own)!
  assert.equal(row.seeds, [0, 1, 2])
  // Each seed's two passes are 80 and 82 and a point for each seed.
  near(row.acc1.mean, 82)
  near(row.acc1.sd, 1)
  near(row.passSd, Math.SQRT2)
  near(row.agreement!.mean, 0.9)
  const plain = rows.find(({ head, evaluated }) => head.arch === 'Kakuritsu' && evaluated.kind === 'plain')!
  assert.is(plain.passSd, null)
  assert.is(plain.agreement, null)
})

test('the published rows find theirs, and only theirs', () => {
  const found = publishedRows(summarize(runs(2)))
  assert.is(found.length, 9)
  assert.ok(found.every(({ found }) => found?.variant === 'published' && found.seeds.length === 2))
  const other = publishedRows(summarize(runs(1, planOf({ p: [0.3], archs: ['Kakuritsu'] }))))
  assert.ok(
    other.every(({ found }) => found === null),
    'a head of p = 0.3 is not in that table',
  )
})

test('K − D is paired by seed, and split', () => {
  const { kMinusD, effects } = summarize(runs(3))
  near(kMinusD!.acc1.mean, 30)
  near(kMinusD!.acc1.sd, 0)
  assert.is(kMinusD!.acc1.pValue, 2 / 8)
  const effect = Object.fromEntries(effects.map((effect) => [effect.ablation, effect]))
  // The exact gradient costs K 6 of the 30 points; sparing its logits gives D 21 of them.
  near(effect.gradient.change.mean, -6)
  near(effect.gradient.difference.mean, 24)
  near(effect.gradient.share, 0.2)
  near(effect.logits.change.mean, 21)
  near(effect.logits.difference.mean, 9)
  near(effect.logits.share, 0.7)
  near(effect.rescale.share, 0)
})

test('one seed: a difference, but no interval and no share', () => {
  const { kMinusD, effects } = summarize(runs(1))
  near(kMinusD!.acc1.mean, 30)
  assert.is(kMinusD!.acc1.interval, null)
  assert.ok(effects.every(({ share }) => share === null))
})

test('without D there is nothing to compare', () => {
  const specs = planRuns({ ...EXPERIMENT_DEFAULTS, archs: ['Kakuritsu'], ablate: ['gradient'] })
  assert.is(summarize(runs(1, specs)).kMinusD, null)
})

test.run()
