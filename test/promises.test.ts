/** What README and SECURITY.md promise: each promise names what holds it, and that is there. */
import { existsSync, readFileSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { readJson } from './third_party.ts'

interface Promised {
  promise: string
  /** What stands in backticks: files, folders and commands. */
  holders: string[]
}

/** The rows of the table of a document whose last column is called `held by`. */
function promises(document: string): Promised[] {
  const lines = readFileSync(document, 'utf8').split('\n')
  const begin = lines.findIndex((line) => /\| held by \|$/.test(line)) + 2
  const rows = lines.slice(begin, lines.indexOf('', begin))
  return rows.map((row) => {
    const columns = row.split(' | ')
    return { promise: columns[0], holders: [...columns.at(-1)!.matchAll(/`([^`]+)`/g)].map(([, name]) => name) }
  })
}

const isThere = (path: string): boolean =>
  existsSync(path) && (path.endsWith('.test.ts') ? /\.run\(\)/.test(readFileSync(path, 'utf8')) : true)

/** Names without a folder are in that of the name before, or in one inside it. */
function missing({ holders }: Promised): string[] {
  const { scripts } = readJson('package.json')
  const wrong: string[] = []
  let folder = '.'
  for (const holder of holders) {
    const [, command] = holder.match(/^npm (?:run )?(\S+)/) ?? []
    if (command) {
      if (!(command in scripts)) wrong.push(holder)
      continue
    }
    const path = [holder, join(folder, holder)].find(isThere)
    if (path) folder = statSync(path).isDirectory() ? path : dirname(path)
    else wrong.push(holder)
  }
  return wrong
}

const test = suite('promises')

for (const document of ['README.md', 'SECURITY.md'])
  test(document, () => {
    const all = promises(document)
    assert.ok(all.length > 5)
    for (const promised of all) {
      assert.ok(promised.holders.length > 0, `nothing holds: ${promised.promise}`)
      assert.equal(missing(promised), [], promised.promise)
    }
  })

test('what is not there is noticed', () => {
  const holders = ['test/ops/table.test.ts', 'conv2d.test.ts', 'no.test.ts', 'npm run nothing', 'npm start']
  assert.equal(missing({ promise: 'x', holders }), ['no.test.ts', 'npm run nothing'])
})

test.run()
