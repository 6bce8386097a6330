/** The packages that a user of this one gets with it, as package-lock.json has them. */
import { existsSync, readFileSync } from 'node:fs'

export interface Locked {
  /** Of its folder, `node_modules/a/node_modules/b` for a second version of b. */
  path: string
  name: string
  version: string
  licence: string
  resolved?: string
  integrity?: string
  hasInstallScript: boolean
  dev: boolean
}

interface Manifest {
  version: string
  license?: string
  /** What old packages have. */
  licenses?: { type: string }[]
}

/** Everything in the lock file but the package itself. */
export function lockedPackages(): Locked[] {
  const { packages } = readJson('package-lock.json')
  return Object.entries(packages as Record<string, Record<string, string>>)
    .filter(([path]) => path !== '')
    .map(([path, { version, license, resolved, integrity, hasInstallScript, dev }]) => ({
      path,
      name: path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length),
      version,
      licence: license ?? installed(path)?.licenses?.[0]?.type ?? 'none',
      resolved,
      integrity,
      hasInstallScript: Boolean(hasInstallScript),
      dev: Boolean(dev),
    }))
}

/** The manifest of a package that is installed here; null for one of another platform. */
export function installed(path: string): Manifest | null {
  const file = `${path}/package.json`
  return existsSync(file) ? readJson(file) : null
}

export const readJson = (file: string) => JSON.parse(readFileSync(file, 'utf8'))

/** THIRD_PARTY.md. */
export function thirdParty(): string {
  const rows = lockedPackages()
    .filter(({ dev }) => !dev)
    .map(({ name, version, licence }) => `| ${name} | ${version} | ${licence} |`)
  return [
    '# Packages that come with this one, and their licences',
    '',
    'Made from `package-lock.json` by `npm run third-party`; `test/supply.test.ts` holds it to that, and the licences to a list.',
    'Those of other platforms than yours are not installed; `sharp` and `koffi` are optional.',
    '',
    '| package | version | licence |',
    '|---|---|---|',
    ...[...new Set(rows)].sort(),
    '',
  ].join('\n')
}
