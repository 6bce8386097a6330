import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { collectResults } from '../../../imagenet/experiment/collect.ts'
import { ExperimentDevice } from '../../../imagenet/experiment/device.ts'
import { type RunControls, runOne } from '../../../imagenet/experiment/head_run.ts'
import type { RunSpec } from '../../../imagenet/experiment/plan.ts'
import type { RunResult } from '../../../imagenet/experiment/results.ts'
import { completeRuns, runPlan, type Watcher } from '../../../imagenet/experiment/runner.ts'
import { testDevice } from '../../device.ts'
import { removeFolder, temporaryFolder } from '../pictures.ts'
import { planOf, SETTINGS, studyIn } from './made_up.ts'

const test = suite('experiment: runs')
const folder = temporaryFolder()
const [K, D, W] = planOf()

/** What of a result does not depend on the clock. */
const timeless = ({ epochs, evaluations, ...rest }: RunResult) => ({
  ...rest,
  epochs: epochs.map(({ seconds, ...record }) => record),
  evaluations: evaluations.map(({ seconds, ...record }) => record),
})

async function run(name: string, spec: RunSpec, controls: RunControls = {}) {
  const study = await studyIn(join(folder, name))
  return { study, result: await runOne(study, spec, controls) }
}

const weightsOf = (name: string, spec: RunSpec) =>
  readFileSync(join(folder, name, 'runs', spec.id, 'best.safetensors')).toString('hex')

test('learns, keeps the best epoch, and evaluates every way', async () => {
  const { study, result } = await run('whole', K)
  const accuracies = result!.epochs.map(({ val }) => val.acc1)
  assert.is(accuracies.length, SETTINGS.epochs)
  assert.is(accuracies[result!.bestEpoch], Math.max(...accuracies))
  // 13 of 30 images and more come by chance, a sixth, less than once in 1,000 times.
  assert.ok(Math.max(...accuracies) > 40, `${accuracies}; chance is 17 %`)
  assert.is(result!.evaluations.length, K.evaluations.length)
  assert.equal(
    result!.evaluations.map(({ passes }) => passes.length),
    K.evaluations.map(({ passes }) => passes),
  )
  assert.equal(
    completeRuns(study.folder, [K, D]).map(({ spec }) => spec.id),
    [K.id],
  )
})

test('what is done is not done again', async () => {
  let epochs = 0
  const { result } = await run('whole', K, { onEpoch: () => epochs++ })
  assert.is(epochs, 0)
  assert.is(result!.evaluations.length, K.evaluations.length)
})

test('other evaluations of a trained head need no training', async () => {
  let epochs = 0
  const more: RunSpec = { ...K, evaluations: [...K.evaluations, { noise: { kind: 'kakuritsu', p: 0.2 }, passes: 1 }] }
  const { result, study } = await run('whole', more, { onEpoch: () => epochs++ })
  assert.is(epochs, 0)
  assert.is(result!.evaluations.length, K.evaluations.length + 1)
  assert.is(completeRuns(study.folder, [more]).length, 1)
})

/** Stops once the head is trained. */
const afterTraining = (name: string) => () => existsSync(join(folder, name, 'runs', K.id, 'result.json'))

/** Three steps make an epoch. */
const INTERRUPTIONS = [
  { name: 'within an epoch, the one before saved', afterSteps: 4, saveEvery: 0, epochsLeft: 2 },
  { name: 'before anything was saved', afterSteps: 4, saveEvery: 60, epochsLeft: 3 },
  { name: 'among the evaluations', afterSteps: null, saveEvery: 0, epochsLeft: 0 },
]
for (const [i, { name, afterSteps, saveEvery, epochsLeft }] of INTERRUPTIONS.entries())
  test(`stopped ${name}, it ends with the same bits`, async () => {
    const [undisturbed, broken] = ['undisturbed', `broken-${i}`]
    const expected = (await run(undisturbed, K)).result!
    let steps = 0
    const stopped = afterSteps === null ? afterTraining(broken) : () => steps >= afterSteps
    const first = await run(broken, K, { onStep: () => steps++, stopped, saveEvery })
    assert.is(first.result, null)
    let epochs = 0
    const second = await run(broken, K, { onEpoch: () => epochs++, saveEvery })
    assert.equal(timeless(second.result!), timeless(expected))
    assert.is(weightsOf(broken, K), weightsOf(undisturbed, K))
    assert.is(epochs, epochsLeft)
    assert.not(existsSync(join(folder, broken, 'runs', K.id, 'state.safetensors')))
  })

const silent: Watcher = { started() {}, stepped() {}, epochEnded() {}, finished() {}, failed() {}, noted() {} }
const working = { gpu: new ExperimentDevice(testDevice), watcher: silent, stopped: () => false }

test('one run that fails does not end the others, and is named', async () => {
  const study = await studyIn(join(folder, 'failing'))
  const plan = [K, D, W]
  study.folder.begin(SETTINGS, plan, 'command')
  const failed: string[] = []
  const watcher = { ...silent, failed: (spec: RunSpec, error: Error) => failed.push(`${spec.id}: ${error.message}`) }
  const breaking: typeof runOne = async (study, spec, controls) => {
    if (spec === D) throw new Error('a logit is NaN')
    return runOne(study, spec, controls)
  }
  const worked = await runPlan(study, plan, { ...working, watcher }, breaking)
  assert.equal(worked, { failed: [D], stopped: false })
  assert.equal(failed, [`${D.id}: a logit is NaN`])
  const results = collectResults(study.folder)
  assert.equal(
    results.runs.map(({ spec }) => spec.id),
    [K.id, W.id],
  )
  assert.equal(results.incomplete, [{ id: D.id, error: 'a logit is NaN' }])

  await runPlan(study, [D], working)
  assert.equal(collectResults(study.folder).incomplete, [])
})

test('a head that diverges fails, and says what to do', async () => {
  const study = await studyIn(join(folder, 'diverging'))
  const diverging = { ...study, settings: { ...SETTINGS, lr: 1e30 } }
  try {
    await runOne(diverging, W)
    assert.unreachable()
  } catch (error) {
    assert.match((error as Error).message, /the head has diverged; lower --lr/)
  }
})

test('a folder belongs to one experiment, whose plan may grow', async () => {
  const { folder: own } = await studyIn(join(folder, 'own'))
  own.begin(SETTINGS, [K, D], 'first')
  own.begin(SETTINGS, [K, W], 'second')
  assert.equal(
    own.experiment()!.plan.map(({ id }) => id),
    [D.id, K.id, W.id],
  )
  assert.throws(
    () => own.begin({ ...SETTINGS, epochs: 4 }, [K], 'third'),
    /holds an experiment with epochs 3, this one has 4: give another --output/,
  )
  writeFileSync(own.file('experiment.json'), '{')
  assert.throws(() => own.experiment(), /experiment.json cannot be read/)
})

test('seeds differ, heads of one seed begin alike', async () => {
  const [other] = planOf({ seed: 1 })
  const results = await Promise.all([run('seeds', K), run('seeds', other)])
  assert.not.equal(results[0].result!.epochs[0].val, results[1].result!.epochs[0].val)
})

test.after(() => removeFolder(folder))
test.run()
