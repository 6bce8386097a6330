/**
 * Runs the built tests in one process, so that all of them share one GPU device and its compiled pipelines.
 * `node dist/test/run.js [PATTERN]` runs the files whose path contains PATTERN.
 */
import { readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { run } from 'uvu/run'
import { closeDevice } from './device.ts'

const folder = dirname(fileURLToPath(import.meta.url))
const pattern = process.argv[2] ?? ''
const suites = readdirSync(folder, { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.test.js') && name.includes(pattern))
  .sort()
  .map((name) => ({ name, file: join(folder, name) }))

if (suites.length === 0) throw new Error(`no test file matches '${pattern}'`)
await run(suites)
await closeDevice()
