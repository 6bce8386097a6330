/** Which adapter a rank computes on: each its own, in PCI order. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { UsageError } from '../errors.ts'
import { type ListedAdapter, listAdapters } from '../gpu/open.ts'

/** Drivers that run on the CPU, by their adapters' names. */
const SOFTWARE = /llvmpipe|SwiftShader|Microsoft Basic Render/

export interface PlaceOptions {
  localRank: number
  /** Ranks on this host. */
  localSize: number
  host: string
  /** Ranks that may share an adapter. */
  shareGpu: number
  /** The user's choice among adapters: a number, or a part of their names. */
  gpu?: string
}

/** Adapters that ranks take: GPUs where there are any, that the user means. */
export function usableAdapters(list: readonly ListedAdapter[], gpu?: string): ListedAdapter[] {
  const gpus = list.filter(({ name }) => !SOFTWARE.test(name))
  if (gpu !== undefined && /^\d+$/.test(gpu)) return list[Number(gpu)] ? [list[Number(gpu)]] : []
  if (gpu !== undefined) return list.filter(({ name }) => name.toLowerCase().includes(gpu.toLowerCase()))
  return gpus.length > 0 ? gpus : [...list]
}

/**
 * The place of a rank's adapter in `usable`.
 * @throws UsageError when more ranks would share one than may
 */
export function placeOf(usable: readonly ListedAdapter[], options: PlaceOptions): number {
  const { localRank, localSize, host, shareGpu, gpu } = options
  if (usable.length === 0) throw new UsageError(`no adapter of ${host} is meant by --gpu ${gpu}`)
  const needed = Math.ceil(localSize / usable.length)
  if (needed > shareGpu)
    throw new UsageError(
      `${localSize} ranks on ${host} have ${usable.length} adapter${usable.length > 1 ? 's' : ''} (${usable.map(({ name }) => name).join(', ')}): start fewer, or let ${needed} share one with --share-gpu ${needed}`,
    )
  return localRank % usable.length
}

/**
 * Chooses this rank's adapter; gives what `openDevice` takes as `gpu`. Dawn knows adapters by their names alone: of several
 * of one name, all but this rank's are hidden from this process first, by Mesa's device selection layer, which works with
 * any vendor's driver.
 * @throws UsageError
 */
export async function placeRank(options: PlaceOptions): Promise<string> {
  const list = await listAdapters()
  const usable = usableAdapters(list, options.gpu)
  const place = placeOf(usable, options)
  const chosen = usable[place]
  const alike = usable.filter(({ name }) => name === chosen.name).length
  if (alike === 1) return String(list.indexOf(chosen))
  const addresses = pciGpus()
  if (addresses.length === usable.length) process.env.DRI_PRIME = `pci-${addresses[place].replaceAll(/[:.]/g, '_')}!`
  const left = (await listAdapters()).filter(({ name }) => name === chosen.name).length
  if (left !== 1)
    throw new UsageError(
      `${alike} adapters of ${options.host} are all named ${chosen.name}, and its driver cannot hide those of other ranks: let the scheduler show each rank its own (with Slurm --gpus-per-task=1) and add --share-gpu ${options.localSize}`,
    )
  return chosen.name
}

const PCI = '/sys/bus/pci/devices'

/** PCI's classes of display controllers: VGA, and those without a display. */
const DISPLAY_CLASSES = /^0x030[02]/

/** Addresses of the machine's GPUs, `0000:3b:00.0`, in their order. */
export function pciGpus(folder = PCI): string[] {
  try {
    return readdirSync(folder)
      .filter((address) => DISPLAY_CLASSES.test(readFileSync(join(folder, address, 'class'), 'utf8')))
      .sort()
  } catch {
    return [] // no such system
  }
}
