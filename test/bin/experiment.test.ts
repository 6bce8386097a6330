import { cpSync, readFileSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { Results } from '../../imagenet/index.ts'
import { removeFolder, temporaryFolder } from '../imagenet/pictures.ts'
import { contents, runBin } from './commands.ts'

const test = suite('experiment')
const folder = temporaryFolder()
const output = join(folder, 'mnist')

const SMALL = ['--base', 'resnet18', '--base-steps', '3', '-b', '16', '--limit-train', '48', '--limit-val', '40']
const ONE_SEED = [...SMALL, '--epochs', '2', '--output', output, '--seeds', '1', '--samples', '2']
const results = (): Results => JSON.parse(readFileSync(join(output, 'results.json'), 'utf8'))
const ROW = /^(Kakuritsu|Dropout|White) .* [\d.]+( ± [\d.]+)? .*$/gm

test('Ctrl-C ends with 130, and says how to go on', async () => {
  let sent = false
  const { status, stdout, stderr } = await runBin('experiment', ONE_SEED, (child, stdout) => {
    if (!sent && /^Kakuritsu-p0\.5-seed0: epoch 0/m.test(stdout)) sent = child.kill('SIGINT')
  })
  assert.is(status, 130, stderr)
  assert.match(stdout, 'interrupted: the same command goes on')
})

test('goes on, measures the nine rows, and names its report', async () => {
  const { status, stdout, stderr } = await runBin('experiment', ONE_SEED)
  assert.is(status, 0, stderr)
  const rows: string[] = stdout.match(ROW) ?? []
  assert.is(rows.length, 9)
  assert.match(rows[0], /^Kakuritsu +Kakuritsu p = 0\.5 .* 67\.11 +87\.19$/)
  assert.match(stdout, 'One seed: no interval can be given')
  assert.match(stdout, `Report: ${join(output, 'report.html')}`)
  assert.match(stdout, 'node bin/train.js --dummy')

  const { runs, settings, incomplete } = results()
  assert.equal([settings.trainImages, settings.valImages, settings.epochs], [48, 40, 2])
  assert.equal(incomplete, [])
  for (const { passes } of runs.flatMap(({ evaluations }) => evaluations))
    for (const { acc1, acc5 } of passes) {
      // 40 images: accuracies are multiples of 2.5 %.
      assert.is((acc1 * 40) % 100, 0)
      assert.ok(acc1 >= 0 && acc1 <= acc5 && acc5 <= 100)
    }
  const { tensors } = contents(join(output, 'runs', 'White-seed0', 'best.safetensors'))
  assert.equal(Object.keys(tensors), ['li1.weight', 'li2.weight'])
})

test('complete, it is not run again', async () => {
  const written = () => statSync(join(output, 'runs', 'White-seed0', 'result.json')).mtimeMs
  const before = written()
  const { status, stdout } = await runBin('experiment', ONE_SEED)
  assert.is(status, 0)
  assert.match(stdout, 'Nothing is left to run')
  assert.match(stdout, 'Report: ')
  assert.is(written(), before)
})

test('a dry run prints the plan and an estimate, and writes nothing', async () => {
  const before = readFileSync(join(output, 'experiment.json'), 'utf8')
  const more = ['--seeds', '4', '--p', '0.3,0.5', '--ablate', 'logits', '--dry-run']
  const { status, stdout, stderr } = await runBin('experiment', [...ONE_SEED, ...more])
  assert.is(status, 0, stderr)
  assert.match(stdout, 'Plan: 20 runs of 2 epochs')
  assert.match(stdout, /Kakuritsu p = 0\.3 +4 seeds\n/)
  assert.match(stdout, /Dropout, hidden layer only +4 seeds\n/)
  assert.match(stdout, /Estimate: .* \(features .*, runs .*; from 3 steps of each kind, measured just now/)
  assert.is(readFileSync(join(output, 'experiment.json'), 'utf8'), before)
})

test('report.js makes the report again, and compares experiments', async () => {
  const report = join(output, 'report.html')
  const before = readFileSync(report, 'utf8')
  rmSync(report)
  const one = await runBin('report', [output])
  assert.is(one.status, 0, one.stderr)
  assert.is(readFileSync(report, 'utf8'), before)

  const page = join(folder, 'comparison.html')
  const copy = join(folder, 'copy')
  cpSync(output, copy, { recursive: true })
  const two = await runBin('report', [output, copy, '--output', page])
  assert.is(two.status, 0, two.stderr)
  assert.match(two.stdout, /^trained +evaluated +mnist +copy +published$/m)
  assert.match(readFileSync(page, 'utf8'), '<h2>copy</h2>')
})

test('wrong use ends with status 2 and a sentence', async () => {
  for (const [args, message] of [
    [['--p', '0'], '--p takes probabilities above 0'],
    [['--ablate', 'nothing'], '--ablate takes some of gradient'],
    [['--archs', 'Z'], '--archs takes some of'],
    [['--epochs', '3', '--output', output], 'holds an experiment with '],
    [['--dummy'], 'the heads want a trained base under them'],
    [['--pretrained', 'x', '--base-steps', '1'], 'give one of them'],
  ] as const) {
    const { status, stderr } = await runBin('experiment', args)
    assert.is(status, 2, stderr)
    assert.match(stderr, message)
  }
  const { status, stderr } = await runBin('report', [folder])
  assert.is(status, 2)
  assert.match(stderr, 'holds no experiment')
})

test('its base serves as pretrained weights', async () => {
  const base = [
    'mnist',
    '--base',
    'resnet18',
    '--image-size',
    '32',
    '--pretrained',
    join(output, 'resnet18.safetensors'),
  ]
  const small = ['--limit-train', '8', '--limit-val', '8', '-b', '8', '--epochs', '1', '-a', 'White']
  const { status, stderr } = await runBin('train', [...base, ...small, '--output', join(folder, 'train')])
  assert.is(status, 0, stderr)
})

test('bin/mnist.js learns', async () => {
  const { status, stdout, stderr } = await runBin('mnist', ['kakuritsu', '1', '1280'])
  assert.is(status, 0, stderr)
  const accuracy = Number(stdout.match(/accuracy ([\d.]+) %/)![1])
  assert.ok(accuracy > 50, `${accuracy} % after 20 steps; chance is 10 %`)
})

test.after(() => removeFolder(folder))
test.run()
