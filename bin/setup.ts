#!/usr/bin/env node
/**
 * npm run setup: looks for a WebGPU adapter and says which. Where there is none, installs the software Vulkan driver
 * (as root on Debian and Ubuntu, unless KAKURITSU_NO_INSTALL is set) or prints the command that does.
 * Exit status 0 when there is an adapter that works, else 1.
 */
import { fileURLToPath } from 'node:url'
import { install } from '../imagenet/gpu/driver/install.ts'
import { hardwareHint, plan } from '../imagenet/gpu/driver/plan.ts'
import { type ProbeResult, probe, probeHere } from '../imagenet/gpu/driver/probe.ts'
import { readDevices, readSystem } from '../imagenet/gpu/driver/system.ts'

const script = fileURLToPath(import.meta.url)

async function setup(): Promise<boolean> {
  const first = await probe(script)
  if (report(first)) return true
  if (!first.found && !first.missing) return false
  const todo = plan(readSystem())
  if ('advice' in todo) {
    console.error(todo.advice)
    return false
  }
  console.log('Installing the software Vulkan driver; this takes about a minute.')
  await install(todo.install, (line) => console.log(`  ${line}`))
  return report(await probe(script))
}

/** Says what was found; true when an adapter was. */
function report(result: ProbeResult): boolean {
  if (result.found) console.log(result.line)
  else
    console.error([`No WebGPU adapter ${result.missing ? 'was found' : 'works here'}.`, ...result.reasons].join('\n  '))
  const { devices, locked } = readDevices()
  const hint = result.found && !result.software ? null : hardwareHint(devices, locked)
  if (hint) console.error(hint)
  return result.found
}

if (process.argv[2] === '--probe') await probeHere()
else
  process.exitCode = await setup().then(
    (found) => (found ? 0 : 1),
    (error: Error) => {
      console.error(error.message)
      return 1
    },
  )
