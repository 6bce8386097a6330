/** What an experiment does when its device is lost, or what it has saved is damaged: it ends with the same bits. */
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { Device } from '../../../engine/index.ts'
import { openMnist } from '../../../imagenet/data/sources/mnist.ts'
import { ExperimentDevice } from '../../../imagenet/experiment/device.ts'
import { openStudy } from '../../../imagenet/experiment/experiment.ts'
import { ExperimentFolder } from '../../../imagenet/experiment/folder.ts'
import { runOne } from '../../../imagenet/experiment/head_run.ts'
import type { RunSpec } from '../../../imagenet/experiment/plan.ts'
import { runPlan, type Watcher } from '../../../imagenet/experiment/runner.ts'
import { openDevice } from '../../../imagenet/gpu/open.ts'
import { testDevice } from '../../device.ts'
import { quietly } from '../../quietly.ts'
import { removeFolder, temporaryFolder } from '../pictures.ts'
import { planOf, SETTINGS, studyIn } from './made_up.ts'

const test = suite('experiment: recovery')
const path = temporaryFolder()
const [K, D, W] = planOf()

/** What a run's result says, but for the time that it took, and its weights. */
function outcomeOf(name: string, spec: RunSpec): string {
  const read = (file: string) => readFileSync(join(path, name, 'runs', spec.id, file))
  const result = read('result.json')
    .toString()
    .replaceAll(/"seconds": .*/g, '')
  return result + read('best.safetensors').toString('hex')
}

/** A device that is lost before it is sent its nth command buffer. */
async function lostAt(nth: number): Promise<Device> {
  const device = await openDevice()
  const { queue } = device.gpu
  const submit = queue.submit.bind(queue)
  let sent = 0
  queue.submit = (commands) => {
    if (++sent === nth) device.gpu.destroy()
    return submit(commands)
  }
  return device
}

/** Works through a plan, saving after every epoch. Returns which runs failed, why, and what was said. */
async function work(name: string, plan: RunSpec[], open: () => Promise<Device>, run = runOne) {
  const study = await studyIn(join(path, name))
  const said: string[] = []
  const watcher: Watcher = {
    started() {},
    stepped() {},
    epochEnded() {},
    finished() {},
    failed() {},
    noted: (spec, line) => said.push(`${spec.id}: ${line}`),
  }
  const gpu = new ExperimentDevice(open)
  const eager: typeof runOne = (study, spec, controls) => run(study, spec, { ...controls, saveEvery: 0 })
  const { failed } = await runPlan(study, plan, { gpu, watcher, stopped: () => false }, eager)
  if (open !== testDevice) gpu.close()
  return { folder: study.folder, failed, said }
}

test.before(async () => {
  const { failed } = await work('whole', [K, D, W], testDevice)
  assert.equal(failed, [])
})

test('a device lost in mid-run: that run goes on from what it saved, and the others follow, to the same bits', async () => {
  let opened = 0
  // Before anything was saved, after some epochs, and among the evaluations.
  const losses = [4, 30, 60]
  const open = () => {
    const nth = losses[opened++]
    return nth === undefined ? openDevice() : lostAt(nth)
  }
  const { failed, said } = await work('lost', [K, D, W], open)
  assert.equal(failed, [])
  assert.is(opened, 4)
  assert.is(said.length, 3)
  assert.match(said[0], /^Kakuritsu-p0.5-seed0: the GPU device was lost .*; going on, on a new one, from the start: /)
  assert.match(said[1], /: the GPU device was lost .*, from .*(state\.safetensors|result\.json)$/)
  for (const spec of [K, D, W]) assert.is(outcomeOf('lost', spec), outcomeOf('whole', spec), spec.id)
})

test('a run whose device is lost again and again is given up and named; the others are done', async () => {
  const breaking: typeof runOne = (study, spec, controls) => {
    if (spec === D) study.device.gpu.destroy()
    return runOne(study, spec, controls)
  }
  const { folder, failed } = await work('hopeless', [K, D, W], openDevice, breaking)
  assert.equal(failed, [D])
  assert.match(
    folder.failure(D)!,
    /^given up after 4 losses without progress from the start.*: the GPU device was lost/,
  )
  for (const spec of [K, W]) assert.is(outcomeOf('hopeless', spec), outcomeOf('whole', spec), spec.id)
})

test('an error that a device keeps ends one run, not those after it', async () => {
  const breaking: typeof runOne = (study, spec, controls) => {
    // A buffer for nothing, which is refused.
    if (spec === K) study.device.gpu.createBuffer({ size: 4, usage: 0 })
    return runOne(study, spec, controls)
  }
  const { folder, failed } = await work('refused', [K, W], openDevice, breaking)
  assert.equal(failed, [K])
  assert.match(folder.failure(K)!, /^the GPU refused a command: /)
  assert.is(outcomeOf('refused', W), outcomeOf('whole', W))
})

function flipByte(file: string, at: (length: number) => number): void {
  const bytes = readFileSync(file)
  bytes[at(bytes.length)] ^= 1
  writeFileSync(file, bytes)
}

/** Of a tensor, of the metadata, and of the header's length. */
const PLACES: ((length: number) => number)[] = [(length) => length - 3, () => 30, () => 6]

const DAMAGES: Record<string, { file: string; trained: boolean }> = {
  'a state': { file: 'state.safetensors', trained: false },
  'the best head of a run that trains': { file: 'best.safetensors', trained: false },
  'the head of a run that is evaluated': { file: 'best.safetensors', trained: true },
}
for (const [what, { file, trained }] of Object.entries(DAMAGES))
  for (const [i, place] of PLACES.entries())
    test(`${what} with a flipped byte (${i}): it says so and trains that run anew, to the same bits`, async () => {
      const name = `${trained} ${file} ${i}`
      const { folder, device, ...study } = await studyIn(join(path, name))
      let steps = 0
      const stopped = () => (trained ? folder.result(K) !== null : steps >= 4)
      await runOne({ ...study, device, folder }, K, { onStep: () => steps++, stopped, saveEvery: 0 })
      flipByte(folder.runFile(K, file), place)
      const { failed, said } = await work(name, [K], testDevice)
      assert.equal(failed, [])
      assert.is(said.length, 1)
      assert.match(said[0], `${folder.runFile(K, file)} is damaged: `)
      assert.match(said[0], new RegExp(`; training ${K.id} anew$`))
      assert.is(outcomeOf(name, K), outcomeOf('whole', K))
      assert.not(existsSync(folder.runFile(K, 'state.safetensors')))
    })

test('a head that is gone is trained anew', async () => {
  const { folder } = await studyIn(join(path, 'gone'))
  await work('gone', [W], testDevice)
  rmSync(folder.runFile(W, 'best.safetensors'))
  const more: RunSpec = { ...W, evaluations: [...W.evaluations, { noise: { kind: 'kakuritsu', p: 0.2 }, passes: 1 }] }
  const { failed, said } = await work('gone', [more], testDevice)
  assert.equal(failed, [])
  assert.match(said[0], /best\.safetensors is missing; training White-seed0 anew$/)
})

test('base and features: a lost device and a damaged base end with the same bits', async () => {
  const folder = new ExperimentFolder(temporaryFolder())
  const settings = { ...SETTINGS, classes: 10, baseSteps: 1, batchSize: 8, trainImages: 8, valImages: 8 }
  const reading = { workers: 0, decoder: 'jpeg-js', skipCorrupt: false } as const
  const options = { settings, dataset: openMnist(), folder, reading, stopped: () => false }
  const said: string[] = []
  const { error: print } = console
  console.error = (line: string) => said.push(line)
  const make = async (gpu: ExperimentDevice) => {
    const work = (device: Device, onSave: (file: string) => void) => openStudy(device, { ...options, onSave })
    const { features } = (await quietly(() => gpu.recovering(work)))!
    for (const half of [features.train, features.val]) half.close()
    return readFileSync(folder.file('resnet18.safetensors')).toString('hex')
  }
  try {
    const first = await make(new ExperimentDevice(testDevice))
    flipByte(folder.file('resnet18.safetensors'), (length) => length >> 1)
    let opened = 0
    const gpu = new ExperimentDevice(() => (opened++ ? testDevice() : lostAt(8)))
    assert.is(await make(gpu), first)
    assert.is(opened, 2)
  } finally {
    console.error = print
    removeFolder(folder.path)
  }
  const [damaged, lost, again] = said
  assert.match(damaged, /resnet18\.safetensors is damaged: its checksum is another; training the base anew$/)
  assert.match(lost, /^the GPU device was lost /)
  assert.is(again, damaged)
})

test.after(() => removeFolder(path))
test.run()
