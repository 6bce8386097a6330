import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { writeFileAtomic } from '../../../imagenet/files.ts'
import {
  addBatch,
  averages,
  countOf,
  type MetricsLine,
  MetricsLog,
  noTotals,
  progressLine,
  Stopwatch,
  validationLine,
} from '../../../imagenet/run/metrics.ts'
import { removeFolder, temporaryFolder } from '../pictures.ts'

const test = suite('metrics')
const folder = temporaryFolder()

test('averages weigh batches by their size', () => {
  const totals = noTotals()
  addBatch(totals, { size: 3, loss: 2, correct1: 1, correct5: 2 })
  addBatch(totals, { size: 1, loss: 6, correct1: 1, correct5: 1 })
  assert.equal(averages(totals), { loss: 3, acc1: 50, acc5: 75 })
})

test('the lines are the original’s', () => {
  const [batch, data] = [new Stopwatch(), new Stopwatch()]
  batch.add(0.5)
  batch.add(0.25)
  data.add(0.001)
  const line = progressLine(
    { batch, data },
    { size: 4, loss: 2.5, correct1: 1, correct5: 3 },
    { loss: 3, acc1: 50, acc5: 60 },
  )
  assert.is(
    `Epoch: [0][${countOf(10, 20019)}] ${line}`,
    'Epoch: [0][   10/20019] BTime=  0.250 (Avg=  0.375) DTime=  0.001 (Avg=  0.001) Loss= 2.5000e+0 (Avg= 3.0000e+0) ' +
      'Acc@1=  25.00 (Avg=  50.00) Acc@5=  75.00 (Avg=  60.00)',
  )
  assert.is(validationLine({ loss: 0, acc1: 67.11, acc5: 87.186 }), ' * Acc@1 Avg= 67.110 Acc@5 Avg= 87.186')
})

test('a resumed log drops what came after the checkpoint, and lines cut short', () => {
  const file = join(folder, 'metrics.jsonl')
  const line = (phase: 'train' | 'val', epoch: number, step: number): MetricsLine => ({
    ...{ phase, epoch, step, loss: 1, acc1: 2, acc5: 3, lr: 0.1, images_per_s: 4 },
  })
  const log = new MetricsLog(file)
  for (const args of [
    ['train', 0, 5],
    ['val', 0, 2],
    ['train', 1, 5],
    ['train', 1, 10],
    ['val', 1, 2],
  ] as const)
    log.write(line(...(args as ['train' | 'val', number, number])))
  writeFileSync(file, `${readFileSync(file, 'utf8')}{"phase":"tra`)
  new MetricsLog(file, { epoch: 1, step: 7 }).write(line('train', 1, 8))
  const kept = readFileSync(file, 'utf8')
    .trimEnd()
    .split('\n')
    .map((text) => JSON.parse(text))
  assert.equal(
    kept.map(({ phase, epoch, step }) => [phase, epoch, step]),
    [
      ['train', 0, 5],
      ['val', 0, 2],
      ['train', 1, 5],
      ['train', 1, 8],
    ],
  )
  new MetricsLog(file)
  assert.is(readFileSync(file, 'utf8'), '', 'a new run begins anew')
})

test('a file is replaced as a whole, and nothing is left beside it', () => {
  const file = join(folder, 'whole.bin')
  writeFileAtomic(file, 'old')
  writeFileAtomic(file, [Uint8Array.of(1, 2), Uint8Array.of(3)])
  assert.equal([...readFileSync(file)], [1, 2, 3])
  assert.throws(() => writeFileAtomic(join(folder, 'no', 'such', 'folder'), 'x'), /ENOENT/)
  assert.equal(
    readdirSync(folder).filter((name) => name.endsWith('.tmp')),
    [],
  )
})

test.after(() => removeFolder(folder))
test.run()
