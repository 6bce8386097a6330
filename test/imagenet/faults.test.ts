/** What goes wrong around a run: it says so in one sentence, and saves what it can. */
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { type Device, GpuError } from '../../engine/index.ts'
import { DivergedError } from '../../imagenet/errors.ts'
import { openDevice } from '../../imagenet/gpu/open.ts'
import { builtFile } from '../../imagenet/locate.ts'
import { Interrupt } from '../../imagenet/run/interrupt.ts'
import type { TrainOptions } from '../../imagenet/run/options.ts'
import { train } from '../../imagenet/run/train.ts'
import { type Ended, linesOf } from '../bin/commands.ts'
import { quietly } from '../quietly.ts'
import { removeFolder, temporaryFolder } from './pictures.ts'
import { CHECKPOINT, digestOf, SMALL, smallPictures, smallRequest } from './small_run.ts'

const test = suite('faults')
const dir = smallPictures()
const folder = temporaryFolder()
const output = (name: string) => join(folder, name)

/** Runs in this process. Returns what was thrown, and the lines of standard error. */
async function attempt(
  name: string,
  options: Partial<TrainOptions>,
  open: () => Promise<Device> = openDevice,
): Promise<{ error: Error | null; said: string }> {
  const said: string[] = []
  const { error: print } = console
  console.error = (line: string) => said.push(line)
  try {
    const request = smallRequest({ dir, output: output(name), ...options })
    await quietly(() => train(request, open, SMALL))
    return { error: null, said: said.join('\n') }
  } catch (error) {
    return { error: error as Error, said: said.join('\n') }
  } finally {
    console.error = print
  }
}

/** Opens a device that calls `act` before it sends its nth command buffer. */
const atSubmit = (nth: number, act: (device: Device) => void) => async () => {
  const device = await openDevice()
  const { queue } = device.gpu
  const submit = queue.submit.bind(queue)
  let sent = 0
  queue.submit = (commands) => {
    if (++sent === nth) act(device)
    return submit(commands)
  }
  return device
}

let whole = ''
test.before(async () => {
  assert.is((await attempt('whole', {})).error, null)
  whole = digestOf(output('whole'))
})

test('images that vanish end the run where it can go on to the same bits', async () => {
  for (const skipCorrupt of [false, true]) {
    const [gone, name] = [smallPictures(), `vanished ${skipCorrupt}`]
    const options = { dir: gone, skipCorrupt }
    const vanish = () => {
      for (const found of readdirSync(join(gone, 'train', 'cat'))) rmSync(join(gone, 'train', 'cat', found))
    }
    const { error, said } = await attempt(name, options, atSubmit(10, vanish))
    assert.match(error!.message, /^cannot decode .*png: it cannot be read \(ENOENT\)$/)
    assert.match(said, /^epoch \d, step \d saved; go on with --resume .*safetensors$/)
    removeFolder(gone)
    const resume = join(output(name), CHECKPOINT)
    assert.is((await attempt(name, { resume, skipCorrupt: false })).error, null)
    assert.is(digestOf(output(name)), whole)
  }
})

test('a thread that dies ends the run where it can go on', async () => {
  const { postMessage } = Worker.prototype
  let jobs = 0
  Worker.prototype.postMessage = function (this: Worker, ...job: Parameters<typeof postMessage>) {
    if (++jobs === 6) void this.terminate()
    else postMessage.apply(this, job)
  }
  const { error, said } = await attempt('thread', { workers: 1 })
  Worker.prototype.postMessage = postMessage
  assert.is(error!.message, 'an image decoding thread ended by itself')
  assert.match(said, /^epoch \d, step \d saved; go on with --resume /)
  assert.is((await attempt('thread', { resume: join(output('thread'), CHECKPOINT) })).error, null)
  assert.is(digestOf(output('thread')), whole)
})

test('a loss that is not finite stops the run, with the step and the layer; no checkpoint of it is kept', async () => {
  const { error } = await attempt('diverged', { lr: 1e30, epochs: 9, saveEvery: 1 })
  assert.instance(error, DivergedError)
  assert.match(error!.message, /the run has diverged .*epoch 0, step \d+: .*lower --lr or set --clip-grad-norm/)
  const watched = await attempt('watched', { lr: 1e30, epochs: 9, detectAnomaly: true })
  assert.instance(watched.error, DivergedError)
  assert.match(
    watched.error!.message,
    /epoch 0, step \d+: the (output|gradient) of (base|exp)[\w.]*('s output)? is the first that is not finite/,
  )
  assert.is((await attempt('clipped', { clipGradNorm: 0.01 })).error, null)
  const norms = linesOf(join(output('whole'), 'metrics.jsonl')).map(({ grad_norm }) => grad_norm)
  assert.equal(norms.map((norm) => typeof norm).slice(0, 5), ['number', 'number', 'number', 'number', 'undefined'])
  assert.is.not(digestOf(output('clipped')), whole)
})

test('a device lost in mid-run: the run goes on by itself from the last checkpoint, to the same bits', async () => {
  let opened = 0
  // Before the first checkpoint, after some, and twice in a row.
  const losses = [4, 40, 9, 9]
  const open = async () => {
    const nth = losses[opened++]
    return nth === undefined ? openDevice() : atSubmit(nth, ({ gpu }) => gpu.destroy())()
  }
  const { error, said } = await attempt('lost', { saveEvery: 2 }, open)
  assert.is(error, null)
  assert.is(opened, 5)
  assert.is(digestOf(output('lost')), whole)
  assert.match(
    said,
    /^the GPU device was lost .*; going on, on a new one, from the start: there is no checkpoint yet$/m,
  )
  assert.match(said, /^the GPU device was lost .*; going on, on a new one, from .*Exp_ResNet18_Kakuritsu.safetensors$/m)
})

test('a device that is lost again and again is given up with a report', async () => {
  const open = atSubmit(3, ({ gpu }) => gpu.destroy())
  const { error } = await attempt('hopeless', {}, open)
  assert.instance(error, GpuError)
  assert.match(error!.message, /^given up after 4 losses without progress from the start.*: the GPU device was lost/)
})

test('memory that the GPU does not have: the tensor, its bytes, and the options that need less', async () => {
  const open = async () => {
    const device = await openDevice()
    const { gpu } = device
    const { createBuffer, popErrorScope } = gpu
    let size = 0
    gpu.createBuffer = (descriptor) => {
      ;({ size } = descriptor)
      return createBuffer.call(gpu, descriptor)
    }
    // The convolution's output, [4, 6, 6, 8] of 4 bytes.
    gpu.popErrorScope = async () => {
      const full = size === 4608
      const error = await popErrorScope.call(gpu)
      return full ? new GPUOutOfMemoryError('full') : error
    }
    return device
  }
  const { error } = await attempt('memory', {}, open)
  assert.instance(error, GpuError)
  assert.match(
    error!.message,
    /^the GPU has no memory left for a tensor \[4, 6, 6, 8\] of kernel \w.*, 4608 bytes: lower --batch-size \(now 4\), --micro-batch \(now 4\), --image-size \(now 8\)$/,
  )
})

/** `small.program.js`, which gets SIGTERM in its third epoch if it is named so. */
function program(name: string, options: Partial<TrainOptions>): Promise<Ended> {
  const words = JSON.stringify({ dir, output: output(name), ...options })
  const child = spawn(process.execPath, [builtFile('test/imagenet/small.program.js'), words], { timeout: 60_000 })
  const ended: Ended = { status: null, stdout: '', stderr: '' }
  let interrupted = false
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    ended.stdout += text
    if (name !== 'SIGTERM' || interrupted || !ended.stdout.includes('Epoch: [2]')) return
    interrupted = child.kill('SIGTERM')
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    ended.stderr += text
  })
  return new Promise((resolve) => child.on('close', (status) => resolve({ ...ended, status })))
}

/** Mounts a file system of some pages at a new folder; null where that is not permitted. */
function mount(name: string, options: string): string | null {
  mkdirSync(output(name))
  const { status, error } = spawnSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', output(name)])
  if (!error && status === 0) return output(name)
  console.log(`not tested: a ${name}, which only root can mount`)
  return null
}

test('a full disk: the run ends with one sentence, and goes on once there is room', async () => {
  // Five pages: metrics, a checkpoint of two or three.
  const disk = mount('full disk', 'size=20k')
  if (!disk) return
  try {
    const { status, stderr } = await program('full disk', { saveEvery: 1 })
    assert.is(status, 1, stderr)
    assert.match(stderr, /^small: cannot write .*: the disk is full \(ENOSPC\)$/m)
    assert.match(stderr, /^the last checkpoint is .*safetensors$/m)
    assert.not.match(stderr, /^ +at /m)
    const resume = join(disk, CHECKPOINT)
    const { error } = await attempt('room', { resume, output: output('room') })
    assert.is(error, null)
  } finally {
    spawnSync('umount', [disk])
  }
})

test('a folder that cannot be written to is wrong use', async () => {
  writeFileSync(output('file'), '')
  const { status, stderr } = await program('file/below', {})
  assert.is(status, 2, stderr)
  assert.match(
    stderr,
    /^small: --output .* cannot be used: cannot write .*: a part of its path is no folder \((ENOTDIR|EEXIST)\)$/m,
  )
  const disk = mount('read-only disk', 'ro')
  if (!disk) return
  try {
    const refused = await program('read-only disk', {})
    assert.is(refused.status, 2, refused.stderr)
    assert.match(refused.stderr, /cannot be used: cannot write .*: the file system is read-only \(EROFS\)$/m)
  } finally {
    spawnSync('umount', [disk])
  }
})

test('SIGTERM saves, as Ctrl-C does, and ends with 143', async () => {
  const { status, stdout, stderr } = await program('SIGTERM', { epochs: 1000 })
  assert.is(status, 143, stderr)
  assert.match(stdout, /^interrupted: epoch \d+, step \d saved; go on with --resume /m)
  assert.ok(existsSync(join(output('SIGTERM'), CHECKPOINT)))
})

test('a second signal ends the process at once', () => {
  const listeners = () => [process.listenerCount('SIGINT'), process.listenerCount('SIGTERM')]
  const before = listeners()
  for (const [signal, status] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const) {
    const interrupt = new Interrupt()
    assert.is.not(String(listeners()), String(before))
    process.emit(signal, signal)
    assert.is(interrupt.requested, true)
    assert.is(interrupt.status, status)
    assert.equal(listeners(), before, 'the next one does what it does by default')
  }
})

test.after(() => {
  removeFolder(dir)
  removeFolder(folder)
})
test.run()
