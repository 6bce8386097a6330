/** A lock between processes, on one machine or on several that share a folder: a file that its owner keeps fresh. */
import { readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'

const HEARTBEAT_MS = 5_000
/** A lock that was not freshened for so long has lost its owner. */
const STALE_MS = 60_000
const POLL_MS = 200

/**
 * Runs `work` while no other process does under the same lock. Should an owner die, the lock is taken over; two that do
 * so in the same instant may both run, so `work` must bear that.
 * @param onWait called once, when another process is waited for
 */
export async function withLock<T>(file: string, work: () => Promise<T>, onWait: () => void): Promise<T> {
  const owner = `${hostname()} ${process.pid}\n`
  for (let waited = false; !take(file, owner); waited = true) {
    if (isAbandoned(file)) {
      rmSync(file, { force: true })
      continue
    }
    if (!waited) onWait()
    await sleep(POLL_MS)
  }
  const heartbeat = setInterval(() => freshen(file), HEARTBEAT_MS).unref()
  try {
    return await work()
  } finally {
    clearInterval(heartbeat)
    if (ownerOf(file) === owner) rmSync(file, { force: true })
  }
}

function take(file: string, owner: string): boolean {
  try {
    writeFileSync(file, owner, { flag: 'wx' })
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  }
}

/** Whether the owner was a process of this machine that is no more, or has not been heard of for long. */
function isAbandoned(file: string): boolean {
  const [host, pid] = ownerOf(file)?.trim().split(' ') ?? []
  if (host === hostname() && !isRunning(Number(pid))) return true
  const written = statSync(file, { throwIfNoEntry: false })
  return written !== undefined && Date.now() - written.mtimeMs > STALE_MS
}

function ownerOf(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return undefined // released meanwhile
  }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM' // there, but another user's
  }
}

function freshen(file: string): void {
  const now = new Date()
  try {
    utimesSync(file, now, now)
  } catch {
    // Taken away by someone who thought us dead: there is nothing left to keep fresh.
  }
}
