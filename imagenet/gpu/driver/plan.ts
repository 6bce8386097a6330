/**
 * What to do on a machine where no WebGPU adapter was found. Everything here is a pure function of `System`.
 *
 * The software driver is Mesa's lavapipe, from version 23.2 on (Ubuntu 22.04's). Debian 12 has 22.3, which Dawn refuses
 * ("shaderUniform*ArrayDynamicIndexing required"), and 25.0 in its backports.
 */
import { parseAptSources, sourceLine } from './apt.ts'

export interface System {
  platform: NodeJS.Platform
  /** The text of /etc/os-release, '' where there is none. */
  osRelease: string
  /** True when this process may install packages. */
  root: boolean
  apt: boolean
  /** Path and text of each of apt's source files. */
  aptSources: readonly (readonly [path: string, text: string])[]
  /** Environment variables. */
  env: Readonly<Record<string, string | undefined>>
}

export interface AptRecipe {
  /** A file of apt's sources that must be added first. */
  source: { path: string; line: string } | null
  /** What `apt-get install` is to install, and from which release. */
  args: readonly string[]
}

export type Plan = { install: AptRecipe } | { advice: string }

const PACKAGES = ['mesa-vulkan-drivers', 'libvulkan1']

export function plan(system: System): Plan {
  const pinned = ['VK_DRIVER_FILES', 'VK_ICD_FILENAMES'].find((name) => system.env[name])
  if (pinned)
    return { advice: `Vulkan looks for drivers only in ${pinned}=${system.env[pinned]}. Run: unset ${pinned}` }
  if (system.platform === 'win32')
    return { advice: "Install your GPU's driver. Run: start ms-settings:windowsupdate-optionalupdates" }
  if (system.platform === 'darwin')
    return { advice: 'Metal, which comes with macOS, does not work here. Run: softwareupdate --install --all' }

  const { id, family, version, codename } = parseOsRelease(system.osRelease)
  const recipe = system.apt ? aptRecipe(id, version, codename, system.aptSources) : null
  if (recipe) {
    if (system.root && !system.env.KAKURITSU_NO_INSTALL) return { install: recipe }
    return { advice: `Install the software driver. Run: ${aptCommand(recipe, system.root)}` }
  }
  const command = Object.entries(COMMANDS).find(([name]) => family.includes(name))?.[1]
  if (!command) return { advice: 'Install a Vulkan driver: that of your GPU, or lavapipe of Mesa 23.2 or later.' }
  return { advice: `Install the software driver (Mesa 23.2 or later). Run: ${system.root ? '' : 'sudo '}${command}` }
}

/** For systems that this program does not install on by itself. */
const COMMANDS = {
  fedora: 'dnf install -y mesa-vulkan-drivers vulkan-loader',
  arch: 'pacman -S --needed vulkan-swrast vulkan-icd-loader',
  ubuntu: `apt-get install -y ${PACKAGES.join(' ')}`,
  debian: `apt-get install -y ${PACKAGES.join(' ')}`,
}

/** Null where the distribution has no Mesa that is new enough. */
function aptRecipe(id: string, version: number, codename: string, files: System['aptSources']): AptRecipe | null {
  // Debian testing and unstable have no version.
  if ((id === 'debian' && !(version <= 12)) || (id === 'ubuntu' && version >= 22.04))
    return { source: null, args: PACKAGES }
  if (id !== 'debian' || version !== 12) return null
  const suite = `${codename}-backports`
  const sources = files.flatMap(([path, text]) => parseAptSources(path, text))
  const known = sources.some(({ suites }) => suites.includes(suite))
  const source = { path: `/etc/apt/sources.list.d/kakuritsu-${suite}.list`, line: sourceLine(sources, codename, suite) }
  return { source: known ? null : source, args: ['-t', suite, ...PACKAGES] }
}

function aptCommand({ source, args }: AptRecipe, root: boolean): string {
  const sudo = root ? '' : 'sudo '
  const add = source ? `echo '${source.line}' | ${sudo}tee ${source.path} && ` : ''
  return `${add}${sudo}apt-get update && ${sudo}apt-get install -y --no-install-recommends ${args.join(' ')}`
}

/** os-release(5). `family`: ID and ID_LIKE. `version` is NaN where there is none. */
function parseOsRelease(text: string): { id: string; family: string[]; version: number; codename: string } {
  const fields = new Map<string, string>()
  for (const [, name, value] of text.matchAll(/^(\w+)=["']?(.*?)["']?$/gm)) fields.set(name, value)
  const id = fields.get('ID') ?? ''
  return {
    id,
    family: [id, ...(fields.get('ID_LIKE')?.split(' ') ?? [])],
    version: Number.parseFloat(fields.get('VERSION_ID') ?? ''),
    codename: fields.get('VERSION_CODENAME') ?? '',
  }
}

/**
 * What to say about GPUs that are here but that no driver opened, or null. `devices`: paths under /dev; `locked`: those of
 * them that this user may not open.
 */
export function hardwareHint(devices: readonly string[], locked: readonly string[]): string | null {
  const nvidia = devices.find((path) => /^\/dev\/nvidia\d+$/.test(path))
  if (nvidia)
    return (
      `There is an NVIDIA GPU (${nvidia}), but Vulkan does not find its driver. In a container, start that with ` +
      `NVIDIA_DRIVER_CAPABILITIES=all; elsewhere, install the Vulkan part of NVIDIA's driver.`
    )
  const render = devices.find((path) => path.startsWith('/dev/dri/render'))
  if (!render) return null
  if (locked.includes(render))
    return `There is a GPU (${render}) that you may not open. Run: sudo usermod -aG render $USER`
  return `There is a GPU (${render}), but Vulkan does not find a driver for it.`
}
