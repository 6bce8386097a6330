/** What ran: for whoever wants to run it again. */
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { version as kakuritsu } from '../../package.json'
import type { Versions } from './results.ts'

export const versions = (): Versions => ({ kakuritsu, node: process.versions.node, webgpu: webgpuVersion() })

function webgpuVersion(): string {
  const manifest = createRequire(import.meta.url).resolve('webgpu/package.json')
  return JSON.parse(readFileSync(manifest, 'utf8')).version
}
