/** Opens a GPU under Node, through Dawn (package `webgpu`). */
import { Device, GpuError } from '../../engine/index.ts'
import { UsageError } from '../errors.ts'
import { pollGently } from './polling.ts'
import { withoutNativeStderr } from './stderr.ts'

export interface GpuOptions {
  /** Which adapter: its number in `listAdapters`, or a part of its name in any case. Left out: the first of the list. */
  gpu?: string
  /** Leaves out Dawn's own checks: see FAST_TOGGLES. */
  fast?: boolean
  /** Dawn's switches to turn on: https://dawn.googlesource.com/dawn/+/refs/heads/main/src/dawn/native/Toggles.cpp */
  toggles?: readonly string[]
  /** Dawn's switches to turn off. */
  disabledToggles?: readonly string[]
}

/**
 * What the engine does not need: its kernels guard every index themselves, and write workgroup memory before they read it.
 * The last one offers matrix cores, which WebGPU has as an experiment only. Not `skip_validation`: with it a shader that
 * does not compile ends the process without a word, and 2,000 dispatches took as long as before (lavapipe: 190 ms).
 */
const FAST_TOGGLES = ['disable_robustness', 'disable_workgroup_init', 'allow_unsafe_apis']

export interface ListedAdapter {
  name: string
  /** vulkan, d3d12 or metal. */
  backend: string
}

export interface AdapterDescription extends ListedAdapter {
  vendor: string
  architecture: string
  /** The driver's version, in its own words. */
  driver: string
  /** True for a driver that runs on the CPU (lavapipe, SwiftShader, WARP). */
  software: boolean
}

/**
 * Dawn's instances, the objects that `create` gives, that have an adapter in use. They are kept for good: once the
 * garbage collector takes one, the next use of a device of it aborts the process.
 */
const instances: GPU[] = []

const descriptions = new WeakMap<GPUAdapter | Device, AdapterDescription>()

/** A name that no adapter has. Dawn lists what there is only when it is asked for an adapter that there is not. */
const NO_ADAPTER = '<none>'

/**
 * The adapters of this machine as Dawn ranks them for speed: discrete GPUs, integrated ones, software.
 * @throws GpuError when Dawn cannot run here at all.
 */
export async function listAdapters(): Promise<ListedAdapter[]> {
  const message = await requestAdapter([`adapter=${NO_ADAPTER}`]).then(
    () => 'Available adapters: none',
    (error: Error) => error.message,
  )
  if (!message.includes('Available adapters:')) throw new GpuError(`no GPU can be looked for: ${message}`)
  return [...message.matchAll(/^ \* backend: '(.*)', name: '(.*)'$/gm)].map(([, backend, name]) => ({ name, backend }))
}

/**
 * Opens an adapter, and puts WebGPU's constants (GPUBufferUsage, …) where a browser has them.
 * @throws GpuError when there is none; UsageError when there is none that `gpu` means, listing those that there are.
 */
export async function openAdapter(options: GpuOptions = {}): Promise<GPUAdapter> {
  const { gpu, fast = false, toggles = [], disabledToggles = [] } = options
  const listed = chooseAdapter(await listAdapters(), gpu)
  const flags = [
    `adapter=${listed.name}`,
    `enable-dawn-features=${[...(fast ? FAST_TOGGLES : []), ...toggles].join(',')}`,
    `disable-dawn-features=${disabledToggles.join(',')}`,
  ]
  const { instance, adapter } = await requestAdapter(flags)
  if (!adapter) throw new GpuError(`${listed.name} could not be opened`)
  instances.push(instance)
  const { vendor, architecture, description, isFallbackAdapter: software } = adapter.info
  if (software) pollGently()
  descriptions.set(adapter, { ...listed, vendor, architecture, driver: driverVersion(description), software })
  return adapter
}

/**
 * Opens an adapter and a device on it. Do this before workers start: see `withoutNativeStderr`.
 * @throws GpuError as `openAdapter` and `Device.create` do.
 */
export async function openDevice(options: GpuOptions = {}): Promise<Device> {
  const adapter = await openAdapter(options)
  const device = await Device.create(adapter)
  descriptions.set(device, describeAdapter(adapter))
  return device
}

/** What stands behind an adapter or a device that this module opened. */
export function describeAdapter(opened: GPUAdapter | Device): AdapterDescription {
  const description = descriptions.get(opened)
  if (!description) throw new Error('describeAdapter: wants what openAdapter or openDevice gave')
  return description
}

/** One line for the user: `GPU: NVIDIA GeForce RTX 4090, vulkan driver 550.54.15`. */
export function adapterLine({ name, backend, driver, software }: AdapterDescription): string {
  return `GPU: ${name}, ${backend} driver ${driver}${software ? ' — a software adapter: correct, but slow' : ''}`
}

/**
 * The adapter of `list` that `gpu` means.
 * @throws GpuError when the list is empty; UsageError when `gpu` means none, or one that Dawn, which takes the first
 * whose name contains the one it is given, would not take.
 */
export function chooseAdapter(list: readonly ListedAdapter[], gpu?: string): ListedAdapter {
  if (list.length === 0)
    throw new GpuError('there is no WebGPU adapter; run `npm run setup`, which says what is missing')
  const shown = `this machine has:${list.map(({ name, backend }, i) => `\n  ${i}  ${name} (${backend})`).join('')}`
  const byNumber = gpu !== undefined && /^\d+$/.test(gpu) ? list[Number(gpu)] : undefined
  const chosen = byNumber ?? list.find(({ name }) => name.toLowerCase().includes((gpu ?? '').toLowerCase()))
  if (!chosen) throw new UsageError(`'${gpu}' is neither a GPU's number nor a part of its name; ${shown}`)
  const taken = list.find(({ name }) => name.includes(chosen.name))
  if (taken !== chosen)
    throw new UsageError(`GPU ${list.indexOf(chosen)} cannot be told from ${list.indexOf(taken!)} by name; ${shown}`)
  return chosen
}

/** Dawn's `llvmpipe: Mesa 25.0.7-2 (LLVM 15.0.6) 0.0.1` or `D3D12 driver version 31.0.15` without what is known anyway. */
function driverVersion(description: string): string {
  return description.replace(/^(?:[^:]*: |.* driver (?:version|on) )/, '').replace(/ \(.*/, '')
}

async function requestAdapter(flags: string[]): Promise<{ instance: GPU; adapter: GPUAdapter | null }> {
  // Imported late, so that a machine where the native module does not load gets a message.
  const { create, globals } = await import('webgpu').catch((error: Error) => {
    throw new GpuError(`the package webgpu does not run on this machine: ${error.message}`)
  })
  Object.assign(globalThis, globals)
  const instance = create(flags)
  // Dawn looks for adapters, and warns about them, before requestAdapter returns its promise.
  const adapter = await withoutNativeStderr(() => instance.requestAdapter({ powerPreference: 'high-performance' }))
  return { instance, adapter }
}
