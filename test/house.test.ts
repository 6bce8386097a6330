/** The plan of the house: who may import whom. */
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { build } from 'esbuild'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'

const test = suite('house')

/** From the ground up: each floor imports from itself and from floors before it. */
const FLOORS = ['engine', 'nn', 'imagenet', 'bin']

/** All that is no test. */
const ROOMS = [...FLOORS, 'bench']

/** Of the engine, in the same way. */
const ENGINE = [
  'errors',
  'adapter',
  'pace',
  'staging',
  'faults',
  'turns',
  'commands',
  'device',
  'texels',
  'memory',
  'kernel',
  'profile',
  'random',
  'half',
  'tensor',
  'tune',
  'elements',
  'autograd',
  'ops',
  'index',
]

const sources = (folder: string): string[] =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts') && !name.endsWith('.d.ts'))
    .map((name) => join(folder, name).replaceAll('\\', '/'))

const importsOf = (file: string): string[] =>
  [...readFileSync(file, 'utf8').matchAll(/(?:from|import)\s*\(?'([^']+)'/g)].map(([, name]) => name)

const resolved = (file: string, name: string): string => normalize(join(dirname(file), name)).replaceAll('\\', '/')

for (const [floor, room] of FLOORS.entries())
  test(`${room} imports nothing from above`, () => {
    for (const file of sources(room))
      for (const name of importsOf(file).filter((name) => name.startsWith('.'))) {
        const target = FLOORS.indexOf(resolved(file, name).split('/')[0])
        assert.ok(target !== -1 && target <= floor, `${file} imports ${name}`)
      }
  })

test('within the engine, imports go one way', () => {
  const order = (file: string) => ENGINE.indexOf(file.split('/')[1].replace(/\.ts$/, ''))
  for (const file of sources('engine')) {
    assert.ok(order(file) !== -1, `${file} is not in the plan`)
    for (const name of importsOf(file).filter((name) => name.endsWith('.ts')))
      assert.ok(order(resolved(file, name)) <= order(file), `${file} imports ${name}`)
  }
})

test('no file imports itself by way of others, types included', () => {
  const done = new Set<string>()
  const visit = (file: string, way: readonly string[]): void => {
    const from = way.indexOf(file)
    assert.is(from, -1, `a circle: ${[...way.slice(from), file].join(' → ')}`)
    if (done.has(file)) return
    for (const name of importsOf(file).filter((name) => /^\..*\.ts$/.test(name)))
      visit(resolved(file, name), [...way, file])
    done.add(file)
  }
  for (const room of ROOMS) for (const file of sources(room)) visit(file, [])
})

test('engine and nn run in a browser: they import no package and nothing of Node’s', async () => {
  for (const room of ['engine', 'nn']) {
    for (const file of sources(room))
      for (const name of importsOf(file)) assert.ok(name.startsWith('.'), `${file} imports ${name}`)
    const options = { bundle: true, write: false, platform: 'browser', format: 'esm', logLevel: 'silent' } as const
    const { outputFiles } = await build({ ...options, entryPoints: [`${room}/index.ts`], loader: { '.wgsl': 'text' } })
    assert.ok(outputFiles[0].text.length > 0)
  }
})

test('no shader text in TypeScript', () => {
  for (const room of ROOMS)
    for (const file of sources(room).filter((name) => !name.includes('peers/')))
      assert.not.match(readFileSync(file, 'utf8'), /@compute|@workgroup_size|var<workgroup>/, file)
})

test.run()
