/** A report's files. */
import { mkdirSync } from 'node:fs'
import { writeFileAtomic } from '../../files.ts'
import type { ExperimentFolder } from '../folder.ts'
import type { Results } from '../results.ts'
import { csv } from './figure.ts'
import { report } from './report.ts'

/** Writes `results.json`, `table.md`, `report.html` and `data/<figure>.csv`. Returns the report's path. */
export function writeReport(folder: ExperimentFolder, results: Results): { html: string } {
  const { html, markdown, figures } = report(results)
  mkdirSync(folder.file('data'), { recursive: true })
  for (const { id, data } of figures) writeFileAtomic(folder.file('data', `${id}.csv`), csv(data))
  writeFileAtomic(folder.file('table.md'), markdown)
  writeFileAtomic(folder.file('results.json'), `${JSON.stringify(results)}\n`)
  writeFileAtomic(folder.file('report.html'), html)
  return { html: folder.file('report.html') }
}
