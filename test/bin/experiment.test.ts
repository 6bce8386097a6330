import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { removeFolder, temporaryFolder } from '../imagenet/pictures.ts'
import { contents, runBin } from './commands.ts'

const test = suite('experiment')
const output = temporaryFolder()

test('trains a base and three heads, and measures the nine rows of the published table', async () => {
  const images = ['--train-images', '48', '--val-images', '40', '--batch-size', '16']
  const args = ['--base', 'resnet18', '--steps', '3', '--epochs', '2', ...images, '--output', output]
  const { status, stdout, stderr } = await runBin('experiment', args)
  assert.is(status, 0, stderr)
  const rows: string[] = stdout.match(/^(Kakuritsu|Dropout|White) .*( +[\d.]+){4}$/gm) ?? []
  assert.is(rows.length, 9)
  assert.match(rows[0], /^Kakuritsu +Kakuritsu p = 0\.5 .* 67\.11 +87\.19$/)

  const results = JSON.parse(readFileSync(join(output, 'results.json'), 'utf8'))
  assert.is(results.rows.length, 9)
  for (const { measured } of results.rows) {
    // 40 images: accuracies are multiples of 2.5 %.
    assert.is((measured.acc1 * 40) % 100, 0)
    assert.ok(measured.acc1 >= 0 && measured.acc1 <= measured.acc5 && measured.acc5 <= 100)
  }
  for (const name of ['resnet18', 'head_Kakuritsu', 'head_Dropout', 'head_White'])
    assert.ok(stdout.includes(join(output, `${name}.safetensors`)), name)
  const { tensors } = contents(join(output, 'head_White.safetensors'))
  assert.equal(Object.keys(tensors), ['li1.weight', 'li2.weight'])
  assert.match(stdout, 'node bin/train.js --dummy')
})

test('its base serves as pretrained weights', async () => {
  const args = [
    'mnist',
    '--base',
    'resnet18',
    '--image-size',
    '32',
    '--pretrained',
    join(output, 'resnet18.safetensors'),
  ]
  const small = ['--limit-train', '8', '--limit-val', '8', '-b', '8', '--epochs', '1', '-a', 'White']
  const { status, stderr } = await runBin('train', [...args, ...small, '--output', join(output, 'train')])
  assert.is(status, 0, stderr)
})

test('bin/mnist.js learns', async () => {
  const { status, stdout, stderr } = await runBin('mnist', ['kakuritsu', '1', '1280'])
  assert.is(status, 0, stderr)
  const accuracy = Number(stdout.match(/accuracy ([\d.]+) %/)![1])
  assert.ok(accuracy > 50, `${accuracy} % after 20 steps; chance is 10 %`)
})

test.after(() => removeFolder(output))
test.run()
