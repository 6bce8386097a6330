/** An experiment whose runs are divided: over ranks, over shards, over folders. */
import { existsSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { ExperimentFolder } from '../../imagenet/experiment/folder.ts'
import { planRuns } from '../../imagenet/experiment/plan.ts'
import { mergeRuns, parseShard, runsOf } from '../../imagenet/experiment/shard.ts'
import { EXPERIMENT_DEFAULTS } from '../../imagenet/index.ts'
import { runBin } from '../bin/commands.ts'
import { temporaryFolder } from '../imagenet/pictures.ts'
import { hasMpi, runMpi } from './mpirun.ts'

const test = suite('experiment in parts')
const folder = temporaryFolder()
const output = join(folder, 'mnist')

test('shards divide a plan without overlap', () => {
  const plan = planRuns({ ...EXPERIMENT_DEFAULTS, seeds: 3, samples: 2 })
  for (const of of [1, 2, 4, 20]) {
    const shards = Array.from({ length: of }, (_, index) => runsOf({ index, of }, plan))
    assert.equal(
      shards
        .flat()
        .map(({ id }) => id)
        .sort(),
      plan.map(({ id }) => id).sort(),
    )
  }
  assert.equal(parseShard('0/4'), { index: 0, of: 4 })
  for (const text of ['4/4', '1', '-1/4', '1/0', 'a/b']) assert.throws(() => parseShard(text), /--shard takes I\/N/)
})

const SMALL = ['--base', 'resnet18', '--base-steps', '1', '-b', '16', '--limit-train', '16', '--limit-val', '16']
const PLAN = [...SMALL, '--epochs', '1', '--seeds', '1', '--samples', '1', '--archs', 'K,W']
const withMpi = hasMpi ? test : test.skip

withMpi('ranks do a run each, and rank 0 reports on all', async () => {
  const command = [process.execPath, 'bin/experiment.js', ...PLAN, '--output', output, '--share-gpu', '2']
  const { status, stdout, stderr } = await runMpi(['-n', '2', ...command])
  assert.is(status, 0, stderr)
  assert.match(stdout, /^Of 2 runs, the 1 of shard 0\/2:$/m)
  assert.is(stdout.match(/^Report: /gm)?.length, 1)
  for (const id of ['Kakuritsu-p0.5-seed0', 'White-seed0'])
    assert.ok(existsSync(join(output, 'runs', id, 'result.json')), id)
})

withMpi('a shard finds what others did, and the last one reports; folders of their own are merged', async () => {
  const { status, stdout, stderr } = await runBin('experiment', [...PLAN, '--output', output, '--shard', '1/2'])
  assert.is(status, 0, stderr)
  assert.match(stdout, /^Of 2 runs, the 1 of shard 1\/2:$/m)
  assert.match(stdout, 'Nothing is left to run')
  assert.match(stdout, /^Report: /m)

  const whole = new ExperimentFolder(output)
  const { settings, plan } = whole.experiment()!
  const into = new ExperimentFolder(join(folder, 'merged'))
  into.begin(settings, plan, 'merging')
  assert.is(mergeRuns(into, plan, [output]), 2)
  assert.is(mergeRuns(into, plan, [output]), 0, 'what is there is left')
  assert.equal(into.result(plan[0]), whole.result(plan[0]))
  const other = new ExperimentFolder(join(folder, 'other'))
  other.begin({ ...settings, epochs: 9 }, plan, 'another experiment')
  assert.throws(() => mergeRuns(into, plan, [other.path]), /has other settings/)
  assert.throws(() => mergeRuns(into, plan, [join(folder, 'none')]), /holds no experiment/)
})

test.after(() => rmSync(folder, { recursive: true, force: true }))
test.run()
