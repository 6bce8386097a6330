/** `--precision f16`, as a run and a command line meet it. */
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { hasHalf } from '../../../engine/index.ts'
import { openDevice, requestOf, setPrecision, train } from '../../../imagenet/index.ts'
import { resnet } from '../../../nn/index.ts'
import { contents, linesOf } from '../../bin/commands.ts'
import { testDevice } from '../../device.ts'
import { quietly } from '../../quietly.ts'
import { removeFolder, temporaryFolder } from '../pictures.ts'

const test = suite('precision')
const device = await testDevice()
const able = hasHalf(device) ? test : test.skip
const folder = temporaryFolder()

const request = (name: string, values: Record<string, unknown>) => {
  const common = { base: 'resnet18', imageSize: 32, limitTrain: 16, limitVal: 8, batchSize: 8, epochs: 1, workers: 0 }
  const all = { ...common, seed: 3, output: join(folder, name), ...values }
  return requestOf(all, new Set(Object.keys(all)), 'mnist')
}

able('a head trains on a base of half precision much as on one of f32', async () => {
  const run = async (precision: 'f32' | 'f16') => {
    const status = await quietly(() => train(request(precision, { precision, freeze: true }), () => openDevice()))
    assert.is(status, 0)
    const losses = linesOf(join(folder, precision, 'metrics.jsonl')).map(({ loss }) => loss as number)
    return { losses, ...contents(join(folder, precision, 'Exp_ResNet18_Kakuritsu.safetensors')) }
  }
  const [wide, narrow] = [await run('f32'), await run('f16')]
  for (const [i, loss] of wide.losses.entries())
    assert.ok(Math.abs(narrow.losses[i] - loss) < 0.02 * loss, `${narrow.losses[i]} and ${loss}`)
  assert.is.not(narrow.tensors['exp.li1.weight'], wide.tensors['exp.li1.weight'])
  assert.equal(JSON.parse(narrow.metadata.options).precision, 'f16')
})

test('training from zero in half precision is refused in a sentence', async () => {
  let message = ''
  await train(request('zero', { precision: 'f16' }), () => assert.unreachable() as never).catch((error: Error) => {
    message = error.message
  })
  assert.match(message, /^--precision f16 is for a frozen base .*: add --pretrained or --freeze$/)
})

test('an adapter that has no half precision is refused in a sentence', async () => {
  const lacking = await openDevice()
  Object.assign(lacking, { features: new Set() })
  const base = resnet('resnet18')
  assert.throws(() => setPrecision(base, 'f16', lacking), /^--precision f16: .* does not compute in half precision/)
  setPrecision(base, 'f32', lacking)
  lacking.destroy()
})

test.after(() => removeFolder(folder))
test.run()
