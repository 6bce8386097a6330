// Builds the project with esbuild: bin/*.js (the commands), dist/*.js (the package's exports) and dist/types.
// `node build.js --test` builds the tests into dist/test as well and leaves the types out.
import { execFileSync } from 'node:child_process'
import { readdirSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

const root = dirname(fileURLToPath(import.meta.url))
const withTests = process.argv.includes('--test')

const files = (folder, ending) =>
  readdirSync(join(root, folder), { recursive: true })
    .map((name) => `${folder}/${name.replaceAll('\\', '/')}`)
    .filter((name) => name.endsWith(ending))

/** What is run as a process of its own, and what is imported or started as a thread: file to be built → source. */
const programs = {}
const entries = {}
for (const file of files('bin', '.ts')) programs[`bin/${basename(file, '.ts')}`] = file
for (const room of ['engine', 'nn', 'imagenet']) entries[`dist/${room}`] = `${room}/index.ts`
for (const file of files('imagenet', '.worker.ts')) entries[`dist/${basename(file, '.ts')}`] = file
for (const file of files('bench', '.ts').filter((name) => !name.startsWith('bench/peers/')))
  entries[`dist/${file.slice(0, -3)}`] = file
if (withTests) {
  for (const file of ['test/run.ts', ...files('test', '.test.ts')]) entries[`dist/${file.slice(0, -3)}`] = file
  for (const file of files('test', '.program.ts')) programs[`dist/${file.slice(0, -3)}`] = file
}

// Old chunks would pile up; the types are the package build's.
for (const old of withTests ? ['dist/test', 'dist/chunks'] : ['dist'])
  rmSync(join(root, old), { recursive: true, force: true })
const bundle = (sources, options) =>
  build({
    absWorkingDir: root,
    entryPoints: Object.entries(sources).map(([out, input]) => ({ in: input, out })),
    outdir: '.',
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    packages: 'external',
    loader: { '.wgsl': 'text' },
    sourcemap: true,
    logLevel: 'warning',
    ...options,
  })

// One file of what it uses, and no package that it does not, lets a program start in half the time that chunks take.
await bundle(programs, {})
await bundle(entries, { splitting: true, chunkNames: 'dist/chunks/[name]-[hash]' })

if (!withTests) {
  const tsc = join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin/tsc')
  const options = [
    '--noEmit',
    'false',
    '--declaration',
    '--emitDeclarationOnly',
    '--outDir',
    'dist/types',
    '--rootDir',
    '.',
  ]
  execFileSync(process.execPath, [tsc, '--project', 'tsconfig.build.json', ...options], { cwd: root, stdio: 'inherit' })
}
