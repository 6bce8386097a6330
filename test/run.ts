/**
 * Runs the built tests in two processes side by side: files whose tests start programs and wait for them in one, all
 * others in another, so that those share one GPU device and its compiled pipelines.
 * `node dist/test/run.js [PATTERN]` runs the files whose path contains PATTERN.
 */
import { spawn } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { run } from 'uvu/run'
import { closeDevice } from './device.ts'

const script = fileURLToPath(import.meta.url)
const folder = dirname(script)

type Lane = 'device' | 'programs'
const LANES: readonly Lane[] = ['device', 'programs']
const PROGRAMS = /^(bin|parallel)\/|^imagenet\/determinism\.|^imagenet\/gpu\/(driver|stderr)\./

/** The files of a lane, in order. */
function filesOf(lane: Lane, pattern: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((name) => name.replaceAll('\\', '/'))
    .filter((name) => name.endsWith('.test.js') && name.includes(pattern))
    .filter((name) => PROGRAMS.test(name) === (lane === 'programs'))
    .sort()
}

async function runLane(names: readonly string[]): Promise<void> {
  await run(names.map((name) => ({ name, file: join(folder, name) })))
  await closeDevice()
}

interface Ended {
  status: number | null
  output: string
}

/** Runs a lane in a process. @param show is given what it prints */
function startLane(lane: Lane, pattern: string, show: (text: string) => void): Promise<Ended> {
  const child = spawn(process.execPath, [...process.execArgv, script, pattern, lane], {
    stdio: ['inherit', 'pipe', 'inherit'],
  })
  const ended: Ended = { status: null, output: '' }
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    ended.output += text
    show(text)
  })
  return new Promise((resolve) => child.on('close', (status) => resolve({ ...ended, status })))
}

/** Runs all lanes, prints the output of one after the other's, and adds up how they ended. */
async function runLanes(pattern: string): Promise<void> {
  const [device, programs] = LANES
  const start = performance.now()
  const ended = await Promise.all([
    startLane(device, pattern, (text) => process.stdout.write(text)),
    startLane(programs, pattern, () => {}),
  ])
  process.stdout.write(ended[1].output)
  const sum = (name: string) =>
    ended.reduce((all, { output }) => all + Number(output.match(new RegExp(`^ +${name}: +(\\d+)$`, 'm'))?.[1] ?? 0), 0)
  const seconds = ((performance.now() - start) / 1000).toFixed(0)
  console.log(['Total', 'Passed', 'Skipped'].map((name) => `  ${`${name}:`.padEnd(10)} ${sum(name)}`).join('\n'))
  console.log(`  Duration:  ${seconds} s, all together`)
  process.exitCode = ended.every(({ status }) => status === 0) ? 0 : 1
}

const [pattern = '', lane] = process.argv.slice(2)
const occupied = LANES.filter((lane) => filesOf(lane, pattern).length > 0)
if (occupied.length === 0) throw new Error(`no test file matches '${pattern}'`)
if (lane) await runLane(filesOf(lane as Lane, pattern))
else if (occupied.length === 1) await runLane(filesOf(occupied[0], pattern))
else await runLanes(pattern)
