import { rmSync, writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { runCommand } from './command.ts'
import type { AptRecipe } from './plan.ts'

/** Seconds for one apt-get command; the driver and what it needs are 60 MB to download and 250 MB to unpack. */
const LIMIT = 600
/** Seconds to wait for another apt to finish. */
const LOCK_WAIT = 120

/**
 * Installs a recipe's packages, as root. `say` is told each step.
 * @throws Error with what apt said, when a step fails; a source that was added is taken away again.
 */
export async function install({ source, args }: AptRecipe, say: (line: string) => void): Promise<void> {
  if (source) {
    say(`+ ${source.path}: ${source.line}`)
    writeFileSync(source.path, `${source.line}\n`)
  }
  try {
    say('$ apt-get update')
    // Other sources of this machine may fail without harm; what counts is whether the packages can be had.
    await aptGet(['update', '-o', 'APT::Update::Error-Mode=any']).catch(({ message }) => say(message))
    const command = ['install', '-y', '--no-install-recommends', ...args]
    say(`$ apt-get ${command.join(' ')}`)
    // In two steps, so that nothing that waits for the network is interrupted while it changes the system.
    await aptGet([...command, '--download-only'])
    await aptGet([...command, '--no-download'])
  } catch (error) {
    if (source) rmSync(source.path, { force: true })
    throw error
  }
}

/** Runs apt-get; waits while another one holds its locks. */
async function aptGet(args: string[]): Promise<void> {
  const options = ['-q', '-o', `DPkg::Lock::Timeout=${LOCK_WAIT}`, '-o', 'Acquire::http::Timeout=20']
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', LC_ALL: 'C.UTF-8' }
  for (const start = Date.now(); ; await sleep(2000)) {
    const { status, stdout, stderr, timedOut } = await runCommand('apt-get', [...options, ...args], LIMIT, env)
    if (status === 0) return
    // apt's own waiting does not cover the lock of its package lists.
    if (stderr.includes('Could not get lock /var/lib/apt/lists') && Date.now() - start < LOCK_WAIT * 1000) continue
    const why = timedOut ? `did not end within ${LIMIT} seconds` : `failed (status ${status})`
    const lastLines = `${stdout}\n${stderr}`.trim().split('\n').slice(-10).join('\n  ')
    throw new Error(`apt-get ${args[0]} ${why}:\n  ${lastLines}`)
  }
}
