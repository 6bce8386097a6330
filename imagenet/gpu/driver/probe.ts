/** Looks for a WebGPU adapter in a process of its own, since a broken driver can crash or hang the one that loads it. */
import { relu, Tensor } from '../../../engine/index.ts'
import { adapterLine, describeAdapter, listAdapters, openDevice } from '../open.ts'
import { runCommand } from './command.ts'

export type ProbeResult =
  /** An adapter works; `line` tells the user which. */
  | { found: true; line: string; software: boolean }
  /** None works, for these reasons; `missing`: there is none, so that a driver may be all that is missing. */
  | { found: false; reasons: string[]; missing: boolean }

/** Seconds. Opening lavapipe takes half a second; a GPU that sleeps may take several to wake. */
const LIMIT = 60

/** What the child does: opens the default adapter, computes something on it, and prints the result as JSON. */
export async function probeHere(): Promise<void> {
  process.stdout.write(JSON.stringify(await look().catch(({ message }) => broken(message))))
}

async function look(): Promise<ProbeResult> {
  if ((await listAdapters()).length === 0) return { found: false, reasons: [], missing: true }
  const device = await openDevice()
  const y = await relu(Tensor.from(device, Float32Array.of(-1, 2))).read()
  const description = describeAdapter(device)
  device.destroy()
  const line = adapterLine(description)
  if (y[0] !== 0 || y[1] !== 2) return broken(`${line} computes wrongly: relu([-1, 2]) gave [${y.join(', ')}]`)
  return { found: true, line, software: description.software }
}

/** Runs `script`, which is to call `probeHere` when its only argument is --probe, and says what came of it. */
export async function probe(script: string): Promise<ProbeResult> {
  const { stdout, stderr, status, signal, timedOut } = await runCommand(process.execPath, [script, '--probe'], LIMIT)
  if (timedOut) return broken(`a GPU driver did not answer within ${LIMIT} seconds`)
  if (status !== 0)
    return broken(`a GPU driver crashed (${signal ?? `status ${status}`})`, ...stderr.trim().split('\n'))
  const result: ProbeResult = JSON.parse(stdout)
  if (!result.found && result.missing)
    result.reasons = [...stderr.matchAll(/^Warning: (.*)$/gm)].map(([, warning]) => warning)
  return result
}

const broken = (...reasons: string[]): ProbeResult => ({ found: false, reasons, missing: false })
