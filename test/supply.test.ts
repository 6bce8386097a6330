/** What is installed with this package: by which licences, in which versions, and what runs as it is installed. */
import { readFileSync } from 'node:fs'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { installed, lockedPackages, readJson, thirdParty } from './third_party.ts'

const test = suite('supply chain')
const packages = lockedPackages()

/** What a package under the MIT licence may come with, for packages that stay files of their own. */
const LICENCES = new Set([
  'MIT',
  'ISC',
  '0BSD',
  'BSD-2-Clause',
  'BSD-3-Clause',
  'Apache-2.0',
  'Unlicense',
  'MPL-2.0', // resvg: changes of its own files would have to be given away; there are none
])

/** Packages with other licences, and why they may be here. */
const OTHERS: Readonly<Record<string, RegExp>> = {
  // libvips, in files of its own that anybody may replace; sharp is optional.
  'LGPL-3.0-or-later': /^@img\/sharp-libvips-/,
  'Apache-2.0 AND LGPL-3.0-or-later': /^@img\/sharp-win32-/,
  'Apache-2.0 AND LGPL-3.0-or-later AND MIT': /^@img\/sharp-wasm32$/,
  // Bitstream Vera's: free to use, to change under another name and to pass on.
  'SEE LICENSE IN README.md AND LICENSE': /^dejavu-fonts-ttf$/,
}

/**
 * Packages that run something as they are installed, and what; none of it is needed on Linux, nor on Windows.
 * - webgpu takes macOS's quarantine off its own library.
 * - koffi looks whether its library for this platform is there, and builds it where it is not; it is optional.
 * - esbuild, with which the project is built, puts its program in the place of the script that starts it.
 */
const WITH_SCRIPTS = ['esbuild', 'koffi', 'webgpu']

test('every package that a user gets has a licence from the list', () => {
  for (const { name, licence, dev } of packages)
    assert.ok(dev || LICENCES.has(licence) || OTHERS[licence]?.test(name), `${name}: ${licence}`)
})

test('THIRD_PARTY.md lists them', () => {
  assert.is(readFileSync('THIRD_PARTY.md', 'utf8'), thirdParty(), 'npm run third-party writes it anew')
})

for (const folder of ['.', 'bench/peers'])
  test(`package-lock.json is in step with package.json: ${folder}`, () => {
    const manifest = readJson(`${folder}/package.json`)
    const root = readJson(`${folder}/package-lock.json`).packages['']
    for (const field of ['version', 'bin', 'engines', 'dependencies', 'devDependencies', 'optionalDependencies'])
      assert.equal(root[field], manifest[field], field)
  })

// Without `resolved`, which most have not, it comes from whatever registry is set: the bytes are the same.
test('every package is locked to its bytes', () => {
  for (const { path, resolved, integrity, version } of packages) {
    assert.match(resolved ?? 'https://registry.npmjs.org/', /^https:\/\/registry\.npmjs\.org\//, path)
    assert.match(integrity ?? '', /^sha512-/, path)
    assert.match(version, /^\d+\.\d+\.\d+/, path)
  }
})

test('what is installed is what is locked', () => {
  for (const { path, version } of packages) assert.is(installed(path)?.version ?? version, version, path)
})

test('no package runs anything as it is installed, but for three', () => {
  const found = packages.filter(({ hasInstallScript }) => hasInstallScript).map(({ name }) => name)
  assert.equal(found.sort(), WITH_SCRIPTS)
  const scripts = (path: string) => readJson(`${path}/package.json`).scripts ?? {}
  for (const { path, name } of packages.filter(({ path }) => installed(path)))
    for (const when of ['preinstall', 'install', 'postinstall'])
      assert.ok(!(when in scripts(path)) || WITH_SCRIPTS.includes(name), `${name} has ${when}`)
})

test('this one builds itself, and does nothing else', () => {
  const { scripts } = readJson('package.json')
  assert.is(scripts.prepare, 'node build.js')
  for (const when of ['preinstall', 'install', 'postinstall', 'preprepare', 'postprepare'])
    assert.not.ok(when in scripts)
})

test.run()
