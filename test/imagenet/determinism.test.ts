/** The same run gives the same bits, whatever happens on the way. */
import { spawn } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { openDevice } from '../../imagenet/gpu/open.ts'
import { builtFile } from '../../imagenet/locate.ts'
import { readNewestCheckpoint, readRunCheckpoint } from '../../imagenet/run/checkpoint.ts'
import type { TrainOptions } from '../../imagenet/run/options.ts'
import { train } from '../../imagenet/run/train.ts'
import { isWhole } from '../../imagenet/weights/seal.ts'
import { linesOf } from '../bin/commands.ts'
import { quietly } from '../quietly.ts'
import { Random } from '../reference/nd.ts'
import { SHADER_CACHE } from '../shader_cache.ts'
import { removeFolder, temporaryFolder } from './pictures.ts'
import { CHECKPOINT, digestOf, SMALL, smallPictures, smallRequest } from './small_run.ts'

const test = suite('determinism')
const KILLS = 20
const dir = smallPictures()
const folder = temporaryFolder()
const output = (name: string) => join(folder, name)

async function run(name: string, options: Partial<TrainOptions> = {}): Promise<string> {
  const request = smallRequest({ dir, output: output(name), saveEvery: 1, ...options })
  assert.is(await quietly(() => train(request, openDevice, SMALL)), 0)
  return digestOf(output(name))
}

let whole = ''

test('the same run twice, for any number of threads: the same weights, metrics and checkpoint', async () => {
  whole = await run('whole')
  assert.is(await run('again'), whole)
  assert.is(await run('threads', { workers: 2 }), whole)
  assert.is(await run('seldom', { saveEvery: undefined }), whole)
  assert.is.not(await run('other', { seed: 6 }), whole)
})

test('kernels chosen by measuring, or remembered, or not: the same bits', async () => {
  const env = { KAKURITSU_TUNE: '1', XDG_CACHE_HOME: output('cache'), ...SHADER_CACHE }
  for (const name of ['measured', 'remembered']) {
    const { status, stderr } = await smallProcess({ dir, output: output(name) }, env)
    assert.is(status, 0, stderr)
    assert.is(digestOf(output(name)), whole)
  }
  assert.is(readdirSync(join(output('cache'), 'kakuritsu', 'tuning')).length, 1)
})

test('a run killed at twenty moments, in steps, validations and writes, ends as one that nobody disturbed', async () => {
  const random = new Random(19)
  const name = 'killed'
  const epochs = 12
  const undisturbed = await run('undisturbed', { epochs })
  const file = join(output(name), CHECKPOINT)
  const resumed = new Set<number>()
  for (let kills = 0; ; kills++) {
    const resume = existsSync(file) ? file : undefined
    if (resume) resumed.add(await stepOf(file))
    // It takes a process some 30 moments to be ready, and a step with its checkpoint some 35.
    const at = kills < KILLS ? 1 + Math.floor(random.next() * 160) : Infinity
    const options: Partial<TrainOptions> = { dir, output: output(name), saveEvery: 1, epochs, resume }
    const { signal, status, stderr } = await smallProcess(options, { KILL_AT: String(at) })
    if (at === Infinity) {
      assert.is(status, 0, stderr)
      break
    }
    assert.is(signal, 'SIGKILL', stderr)
    // Whatever bears the name of a checkpoint is one.
    for (const found of existsSync(output(name)) ? readdirSync(output(name)) : [])
      if (found.endsWith('.safetensors')) assert.ok(isWhole(join(output(name), found)), found)
  }
  assert.ok(resumed.size >= KILLS / 4, `it was resumed at ${[...resumed]}`)
  assert.is(digestOf(output(name)), undisturbed)
  const left = readdirSync(output(name)).filter((found) => found.endsWith('.tmp'))
  assert.equal(left, [])
  const lines = linesOf(join(output(name), 'metrics.jsonl')).map(
    ({ phase, epoch, step }) => `${phase} ${epoch} ${step}`,
  )
  assert.is(new Set(lines).size, lines.length, 'no line twice')
})

test('a damaged checkpoint is told, and the one before it taken', async () => {
  const undamaged = await run('damaged', { keep: 3 })
  const file = join(output('damaged'), CHECKPOINT)
  const older = (age: number) => file.replace('.safetensors', `.${age}.safetensors`)
  assert.equal([await stepOf(file), await stepOf(older(1)), await stepOf(older(2))], [8, 7, 6])
  assert.not.ok(existsSync(older(3)))

  const bytes = readFileSync(file)
  bytes[bytes.length - 5] ^= 1 // one bit of a weight
  writeFileSync(file, bytes)
  truncateSync(older(1), 1000)
  const said: string[] = []
  const { error } = console
  console.error = (line: string) => said.push(line)
  try {
    const checkpoint = await readNewestCheckpoint(file)
    checkpoint.close()
    assert.is(checkpoint.state.globalStep, 6)
  } finally {
    console.error = error
  }
  assert.is(said.length, 1)
  assert.match(said[0], /safetensors: it is damaged: .*; going on from the one before it, .*\.2\.safetensors$/)
  console.error = () => {}
  try {
    assert.is(await run('damaged', { keep: 3, resume: file }), undamaged)
  } finally {
    console.error = error
  }
})

/** Steps of a run that a checkpoint knows of. */
async function stepOf(path: string): Promise<number> {
  const checkpoint = await readRunCheckpoint(path)
  checkpoint.close()
  return checkpoint.state.globalStep
}

interface Killed {
  status: number | null
  signal: NodeJS.Signals | null
  stderr: string
}

function smallProcess(options: Partial<TrainOptions>, more: NodeJS.ProcessEnv): Promise<Killed> {
  const env = { ...process.env, ...more }
  const program = builtFile('test/imagenet/small.program.js')
  const child = spawn(process.execPath, [program, JSON.stringify(options)], { env, timeout: 60_000 })
  let stderr = ''
  child.stdout.resume()
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
  })
  return new Promise((resolve) => child.on('close', (status, signal) => resolve({ status, signal, stderr })))
}

test.after(() => {
  removeFolder(dir)
  removeFolder(folder)
})
test.run()
