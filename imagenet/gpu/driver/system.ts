import { accessSync, constants, existsSync, readdirSync, readFileSync } from 'node:fs'
import type { System } from './plan.ts'

/** Reads what `plan` wants to know of this machine. */
export function readSystem(): System {
  return {
    platform: process.platform,
    osRelease: read('/etc/os-release'),
    root: process.getuid?.() === 0,
    apt: existsSync('/usr/bin/apt-get'),
    aptSources: ['/etc/apt/sources.list', ...list('/etc/apt/sources.list.d')]
      .filter((path) => /\.(list|sources)$/.test(path))
      .map((path) => [path, read(path)] as const),
    env: process.env,
  }
}

/** GPU devices of Linux, and those of them that this user may not open. */
export function readDevices(): { devices: string[]; locked: string[] } {
  const devices = [...list('/dev'), ...list('/dev/dri')].filter((path) =>
    /^\/dev\/(nvidia\d+|dri\/render.*)$/.test(path),
  )
  return { devices, locked: devices.filter((path) => !mayOpen(path)) }
}

function mayOpen(path: string): boolean {
  try {
    accessSync(path, constants.R_OK | constants.W_OK)
    return true
  } catch {
    return false
  }
}

/** The paths in a folder, sorted; none where there is no folder. */
function list(folder: string): string[] {
  if (!existsSync(folder)) return []
  return readdirSync(folder)
    .sort()
    .map((name) => `${folder}/${name}`)
}

/** The text of a file, '' where there is none or it is not for this user. */
function read(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
