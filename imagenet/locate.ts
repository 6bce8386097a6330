import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/**
 * The path of a built file of dist/, such as a worker's. Bundling puts the code that asks anywhere: in bin/, in dist/ or
 * deeper, so the folders above it are searched, nearest first, as Node searches for packages.
 *
 * @param start where to begin: the folder of the running code
 * @throws Error when the build left no such file
 */
export function builtFile(name: string, start = dirname(fileURLToPath(import.meta.url))): string {
  for (let folder = start; ; folder = dirname(folder)) {
    const found = [join(folder, name), join(folder, 'dist', name)].find((file) => existsSync(file))
    if (found) return found
    if (folder === dirname(folder)) throw new Error(`no ${name} is built above ${start}: run npm run build`)
  }
}
