/** Runs the built commands as processes. */
import { type ChildProcess, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { readSafetensors } from '../../nn/index.ts'

export interface Ended {
  status: number | null
  stdout: string
  stderr: string
}

/** Far more than any of these runs takes, so that a hang fails the test instead of stopping it. */
const TIME_LIMIT_MS = 180_000

/** `node bin/<command>.js args`. @param watch is given the process and each piece of its standard output */
export function runBin(
  command: string,
  args: readonly string[],
  watch: (child: ChildProcess, stdout: string) => void = () => {},
): Promise<Ended> {
  const child = spawn(process.execPath, [`bin/${command}.js`, ...args], { timeout: TIME_LIMIT_MS })
  const ended: Ended = { status: null, stdout: '', stderr: '' }
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    ended.stdout += text
    watch(child, ended.stdout)
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    ended.stderr += text
  })
  return new Promise((resolve) => child.on('close', (status) => resolve({ ...ended, status })))
}

/** A digest of every tensor of a safetensors file, and its metadata. */
export function contents(file: string): { tensors: Record<string, string>; metadata: Record<string, string> } {
  const { tensors, metadata } = readSafetensors(readFileSync(file))
  const digests = [...tensors].map(([name, { data, dtype, shape }]) => [
    name,
    `${dtype} [${shape}] ${createHash('sha256').update(data).digest('hex')}`,
  ])
  return { tensors: Object.fromEntries(digests), metadata }
}

export const linesOf = (file: string): Record<string, unknown>[] =>
  readFileSync(file, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))
