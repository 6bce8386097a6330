/** The first ResNet-152 forward of a process, which compiles its pipelines, beside its second. */
import { execFileSync } from 'node:child_process'
import { describeAdapter } from '../imagenet/index.ts'
import { builtFile } from '../imagenet/locate.ts'
import { timingOf } from './measure.ts'
import type { Family, Measured } from './work.ts'

/** Processes started for each setting. */
const PROCESSES = 3

/** Mesa keeps compiled shaders on disk, so that a later process finds them; other drivers ignore the variable. */
const SETTINGS: { name: string; env: NodeJS.ProcessEnv; fill: boolean }[] = [
  { name: "the driver's shader cache warm", env: {}, fill: true },
  { name: 'Mesa without its shader cache', env: { MESA_SHADER_CACHE_DISABLE: 'true' }, fill: false },
]

const SECOND = 'second forward'

export const startFamily: Family = {
  name: 'start',
  groups: (device) =>
    SETTINGS.map(({ name, env, fill }) => ({
      name: `ResNet-152 forward of a process, batch 1 at 224, ${name}`,
      elsewhere: () => measureStarts(describeAdapter(device).name, env, fill),
    })),
}

/** @param fill whether a process runs before those that are timed, and leaves what it compiled in the cache */
function measureStarts(adapter: string, env: NodeJS.ProcessEnv, fill: boolean): Measured {
  const script = builtFile('bench/first_forward.js')
  const forward = (): { first: number; second: number } => {
    const output = execFileSync(process.execPath, [script, adapter], {
      env: { ...process.env, ...env },
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    return JSON.parse(output)
  }
  if (fill) forward()
  const runs = Array.from({ length: PROCESSES }, forward)
  return {
    works: [{ name: SECOND }, { name: 'first forward', against: SECOND }],
    timings: [timingOf(runs.map(({ second }) => second)), timingOf(runs.map(({ first }) => first))],
  }
}
