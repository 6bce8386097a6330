import { closeSync, constants, fstatSync, openSync } from 'node:fs'
import { isatty } from 'node:tty'

/**
 * Runs `call` while nothing that native code prints to stderr reaches the user's screen.
 *
 * File descriptor 2 points to the null device meanwhile. Node cannot duplicate a descriptor, so the way back is to open
 * again what 2 refers to; that is the same thing for a terminal and for a pipe. It is another thing for a regular file
 * (a second file offset, under which `>log 2>&1` would overwrite itself) and impossible for a socket and on Windows:
 * there nothing is silenced.
 */
export function withoutNativeStderr<T>(call: () => T): T {
  const restore = silence()
  try {
    return call()
  } finally {
    restore()
  }
}

const { O_WRONLY, O_NOCTTY } = constants

function silence(): () => void {
  const nothing = () => {}
  if (process.platform === 'win32') return nothing
  let saved: number
  try {
    if (!isatty(2) && !fstatSync(2).isFIFO()) return nothing
    saved = openSync('/dev/fd/2', O_WRONLY | O_NOCTTY)
  } catch {
    return nothing
  }
  replaceStderr('/dev/null')
  return () => {
    try {
      replaceStderr(`/dev/fd/${saved}`)
    } catch {
      // The terminal is gone; 2 must still not be left to the next file that is opened.
      openSync('/dev/null', O_WRONLY)
    }
    closeSync(saved)
  }
}

/** A process gets the lowest descriptor that is free: with 0 and 1 open, as Node keeps them, that is 2. */
function replaceStderr(path: string): void {
  closeSync(2)
  openSync(path, O_WRONLY | O_NOCTTY)
}
