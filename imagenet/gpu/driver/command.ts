import { spawn } from 'node:child_process'

export interface CommandResult {
  /** Null when it was killed, did not start or did not end in time. */
  status: number | null
  signal: NodeJS.Signals | null
  stdout: string
  stderr: string
  timedOut: boolean
}

/**
 * Runs a program without stdin and collects what it prints. A program that has not ended after `limit` seconds is
 * killed and no longer waited for, not even when the kernel cannot end it or its children hold its pipes.
 */
export function runCommand(
  command: string,
  args: readonly string[],
  limit: number,
  env: NodeJS.ProcessEnv = process.env,
): Promise<CommandResult> {
  return new Promise((resolve) => {
    const child = spawn(command, args, { env, stdio: ['ignore', 'pipe', 'pipe'] })
    const printed = { stdout: '', stderr: '' }
    for (const name of ['stdout', 'stderr'] as const)
      child[name].setEncoding('utf8').on('data', (text: string) => {
        printed[name] += text
      })
    const timer = setTimeout(() => {
      child.kill('SIGKILL')
      child.stdout.destroy()
      child.stderr.destroy()
      child.unref()
      resolve({ ...printed, status: null, signal: null, timedOut: true })
    }, limit * 1000)
    child.on('error', (error) => {
      clearTimeout(timer)
      resolve({ ...printed, stderr: error.message, status: null, signal: null, timedOut: false })
    })
    child.on('close', (status, signal) => {
      clearTimeout(timer)
      resolve({ ...printed, status, signal, timedOut: false })
    })
  })
}
