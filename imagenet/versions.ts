/** What ran: for whoever wants to run it again. */
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { builtFile } from './locate.ts'

export interface Versions {
  kakuritsu: string
  node: string
  webgpu: string
}

export function versions(): Versions {
  const versionOf = (manifest: string): string => JSON.parse(readFileSync(manifest, 'utf8')).version
  return {
    // The package's own: the first one above whatever is built.
    kakuritsu: versionOf(builtFile('package.json')),
    node: process.versions.node,
    webgpu: versionOf(createRequire(import.meta.url).resolve('webgpu/package.json')),
  }
}
