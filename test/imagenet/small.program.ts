/**
 * A small run as a process: `small.program.js OPTIONS` (JSON). With KILL_AT=n it kills itself at the nth moment: each
 * command buffer that goes to the GPU, and each call that changes files, is one. A write is killed when half of it is written.
 */
import fs from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { Command } from 'commander'
import { runCommand } from '../../imagenet/command.ts'
import { openDevice } from '../../imagenet/gpu/open.ts'
import { train } from '../../imagenet/run/train.ts'
import { SMALL, smallRequest } from './small_run.ts'

let left = Number(process.env.KILL_AT ?? Infinity)
const moment = (before = () => {}) => {
  if (--left > 0) return
  before()
  process.kill(process.pid, 'SIGKILL')
}

/** Has calls of a function of `node:fs` be moments. */
function watch(name: 'renameSync' | 'linkSync' | 'fsyncSync' | 'rmSync' | 'appendFileSync' | 'openSync'): void {
  const original = fs[name] as (...args: unknown[]) => unknown
  Object.assign(fs, {
    [name]: (...args: unknown[]) => {
      moment()
      return original(...args)
    },
  })
}

for (const name of ['renameSync', 'linkSync', 'fsyncSync', 'rmSync', 'appendFileSync', 'openSync'] as const) watch(name)
const { writeSync } = fs
fs.writeSync = ((fd: number, data: Uint8Array, ...rest: []) => {
  moment(() => writeSync(fd, data.subarray(0, data.length >> 1)))
  return writeSync(fd, data, ...rest)
}) as typeof fs.writeSync
syncBuiltinESMExports()

const open = async () => {
  const device = await openDevice()
  const { queue } = device.gpu
  const submit = queue.submit.bind(queue)
  queue.submit = (commands) => {
    moment()
    return submit(commands)
  }
  return device
}

const command = new Command('small').argument('<options>').action(async (options: string) => {
  process.exitCode = await train(smallRequest(JSON.parse(options)), open, SMALL)
})
await runCommand(command)
