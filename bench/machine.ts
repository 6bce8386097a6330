/** What stands beside every measurement: where and when it was made, and with which command. */
import { cpus, loadavg } from 'node:os'
import type { AdapterDescription } from '../imagenet/index.ts'

export interface Circumstances {
  adapter: AdapterDescription
  cpu: string
  cores: number
  node: string
  date: string
  command: string
  /**
   * Processes that wanted to run, on average over a minute, before and after. Beyond what the benchmark itself keeps
   * busy, the machine did other work. (0 on Windows, which does not count them.)
   */
  load: { before: number; after: number }
}

/** Call it before measuring, and what it returns after. @param script as it is called: `npm run bench` */
export function circumstances(script: string, adapter: AdapterDescription): () => Circumstances {
  const cores = cpus()
  const [before] = loadavg()
  const command = [script, ...(process.argv.length > 2 ? ['--'] : []), ...process.argv.slice(2)].join(' ')
  const date = new Date().toISOString()
  const { version: node } = process
  return () => {
    const [after] = loadavg()
    return { adapter, cpu: cores[0].model.trim(), cores: cores.length, node, date, command, load: { before, after } }
  }
}
