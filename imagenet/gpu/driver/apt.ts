/** Where apt gets its packages from: sources.list(5), in both of its formats. */

export interface AptSource {
  uri: string
  suites: readonly string[]
  /** Options in the one-line format, such as `signed-by=/usr/share/keyrings/debian-archive-keyring.gpg`. */
  options: string
}

/** The sources of packages (type `deb`) in one file; `path` ends with .list (a source a line) or .sources (deb822). */
export function parseAptSources(path: string, text: string): AptSource[] {
  const lines = text.split('\n').filter((line) => !line.trimStart().startsWith('#'))
  if (!path.endsWith('.sources')) return lines.flatMap(parseLine)
  return lines
    .join('\n')
    .split(/\n\s*\n/)
    .flatMap(parseStanza)
}

/** The line that adds `suite` from where `sources` have `like`, or from Debian itself. */
export function sourceLine(sources: readonly AptSource[], like: string, suite: string): string {
  const { uri, options } = sources.find(({ suites }) => suites.includes(like)) ?? DEBIAN
  return `deb ${options && `[${options}] `}${uri} ${suite} main`
}

const DEBIAN: AptSource = {
  uri: 'http://deb.debian.org/debian',
  suites: [],
  options: 'signed-by=/usr/share/keyrings/debian-archive-keyring.gpg',
}

/** `deb [options] uri suite component …` */
function parseLine(line: string): AptSource[] {
  const match = line.match(/^\s*deb\s+(?:\[([^\]]*)\]\s*)?(\S+)\s+(\S+)/)
  if (!match) return []
  const [, options = '', uri, suite] = match
  return [{ uri, suites: [suite], options: options.trim() }]
}

/** Fields whose values may go on in lines that begin with a space. */
function parseStanza(stanza: string): AptSource[] {
  const fields = new Map<string, string>()
  for (const [, name, value] of stanza.matchAll(/^([\w-]+):((?:.*)(?:\n[ \t].*)*)/gm))
    fields.set(name.toLowerCase(), value.trim())
  const words = (name: string): string[] => fields.get(name)?.split(/\s+/) ?? []
  if (!words('types').includes('deb') || /^(?:no|false|0|off|without|disable)$/i.test(fields.get('enabled') ?? ''))
    return []
  const options: string[] = []
  // A key that is written out in the field itself does not fit into a line; apt then uses the keys it trusts.
  const key = fields.get('signed-by')
  if (key?.startsWith('/')) options.push(`signed-by=${key}`)
  for (const name of ['trusted', 'check-valid-until'] as const)
    if (fields.has(name)) options.push(`${name}=${fields.get(name)}`)
  if (fields.has('architectures')) options.push(`arch=${words('architectures').join(',')}`)
  return words('uris').map((uri) => ({ uri, suites: words('suites'), options: options.join(' ') }))
}
