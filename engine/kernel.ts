/**
 * A `.wgsl` file becomes a pipeline, and a pipeline a dispatch.
 *
 * What a kernel's source must look like: parameters in `struct Params` (scalars only) at binding 0, storage buffers
 * from binding 1 on in the order in which they are passed, entry point `main`. A matrix of f32 whose binding is of `Texels`
 * is copied into a texture before the dispatch, unless it is there (texels.ts). Tunables are lines of the form
 * `const NAME: u32 = 8;` at module level; `constants` replaces their values by name before the source is compiled. So is
 * `alias Element = f32;`, the type in which numbers lie in buffers, for tensors of f16: it loads `Element`s and
 * computes in f32. That is the only change ever made to a source. Several sources are joined in order, so that kernels
 * can share a piece.
 *
 * A kernel whose `Params` have a `firstGroup: u32` can be split into several dispatches, should it take too long in one
 * (pace.ts). Nobody but `run` sets it; the kernel's workgroups count as `firstGroup + group.y * groups.x + group.x`.
 */
import type { Device } from './device.ts'
import { GpuError, show } from './errors.ts'
import { memoryOf, type Storage } from './memory.ts'
import type { Texels } from './texels.ts'

export type Constants = Readonly<Record<string, number | string>>
type Scalar = 'u32' | 'i32' | 'f32'
/** How a kernel gets at a tensor. */
type Access = 'storage' | 'read-only-storage' | 'texels'

const TEXELS_LAYOUT = { storageTexture: { access: 'read-only', format: 'rgba32float' } } as const

/** A cached bind group refers to buffers; beyond this many the cache starts anew. */
const MAX_BIND_GROUPS = 8192

/** The kernels that a rehearsal under way on a device has met. */
const rehearsals = new WeakMap<Device, Set<Kernel>>()

/** What `run` needs of a tensor. */
export interface Binding {
  readonly storage: Storage
  readonly shape: readonly number[]
  readonly dtype?: string
}

export class Kernel {
  /** Every kernel and variant made so far, for whoever checks them all. */
  static readonly all: Kernel[] = []

  readonly name: string
  readonly source: string
  readonly #params: [name: string, type: Scalar][]
  readonly #access: Access[]
  readonly #compiled = new WeakMap<Device, Compiled>()
  readonly #variants = new Map<string, Kernel>()
  readonly #splits: boolean
  readonly #hasElements: boolean
  readonly #takesHalf: boolean
  #half: Kernel | null = null

  constructor(name: string, source: string | readonly string[], constants: Constants = {}) {
    this.name = name
    this.source = substitute(name, typeof source === 'string' ? source : source.join('\n'), constants)
    this.#hasElements =
      this.source.includes('alias Element = f32;') && /^@group.*(?:Element|Stored)>/m.test(this.source)
    this.#takesHalf = this.source.includes('alias Element = f16;')
    this.#params = parseParams(name, this.source)
    this.#splits = this.#params.some(([field]) => field === 'firstGroup')
    this.#access = [...this.source.matchAll(/@binding\((\d+)\)\s*var(?:<storage, (read|read_write)>| \w+: (Texels))/g)]
      .sort((a, b) => Number(a[1]) - Number(b[1]))
      .map(([, , access, texels]) => (texels ? 'texels' : access === 'read_write' ? 'storage' : 'read-only-storage'))
    Kernel.all.push(this)
  }

  /** The same kernel with other constants; made once for each set of them. */
  with(constants: Constants): Kernel {
    const key = JSON.stringify(constants)
    let variant = this.#variants.get(key)
    if (!variant) this.#variants.set(key, (variant = new Kernel(`${this.name} ${key}`, this.source, constants)))
    return variant
  }

  /** The same kernel for tensors of f16, where its buffers of `Element` are; null when it takes none. */
  get half(): Kernel | null {
    if (!this.#hasElements) return null
    return (this.#half ??= new Kernel(`${this.name} f16`, ['enable f16;', this.source], { Element: 'f16' }))
  }

  /**
   * Encodes one dispatch, or several where it is split; of `half` where a binding is of f16.
   * @param params a value for each field of the kernel's `Params`
   * @param bindings the kernel's storage buffers, in order
   * @param workgroups how many in x, y, z
   */
  run(
    device: Device,
    params: Readonly<Record<string, number>>,
    bindings: readonly Binding[],
    workgroups: readonly [x: number, y?: number, z?: number],
  ): void {
    const [x, y = 1, z = 1] = workgroups
    if (x === 0 || y === 0 || z === 0) return
    const limit = device.limits.maxComputeWorkgroupsPerDimension
    if (x > limit || y > limit || z > limit)
      throw new GpuError(
        `kernel ${this.name} on ${shapesOf(bindings)} takes ${show([x, y, z])} workgroups, this adapter ${limit} a dimension: lower the batch size or the image size`,
      )
    if (bindings.length !== this.#access.length)
      throw new Error(`kernel ${this.name} has ${this.#access.length} storage bindings, ${bindings.length} given`)
    const ofHalf = bindings.find(({ dtype }) => dtype === 'f16')
    if (ofHalf && !this.#takesHalf) {
      if (!this.half) throw new Error(`kernel ${this.name} takes no half precision: ${show(ofHalf.shape)} is of f16`)
      this.half.run(device, params, bindings, workgroups)
      return
    }
    bindings.forEach(({ storage, shape }, i) => {
      storage.kernel ??= `${this.name} ${shapesOf(bindings)}`
      if (this.#access[i] !== 'storage') return
      storage.version++
      // WebGPU refuses it too, but for a whole command buffer, without a name.
      if (bindings.some((other, k) => k !== i && other.storage === storage))
        throw new Error(`kernel ${this.name} would write a tensor ${show(shape)} that it is given twice`)
    })
    const rehearsal = rehearsals.get(device)
    if (rehearsal) {
      rehearsal.add(this)
      return
    }
    const compiled = this.#on(device)
    const shapes = shapesOf(bindings)
    bindings.forEach((binding, i) => {
      if (this.#access[i] === 'texels') texelsOf(binding).update(binding.storage.version)
    })
    const most = this.#splits ? device.pace.groupsOf(`${this.name} ${shapes}`) : Infinity
    const alone = x * y > most
    for (const { first, workgroups } of split([x, y, z], most))
      device.dispatch({
        pipeline: compiled.pipeline,
        bindGroup: compiled.bindGroup(bindings),
        params: this.#pack(params, first),
        workgroups,
        kernel: this.name,
        shapes,
        groups: this.#splits ? workgroups[0] * workgroups[1] : 1,
        alone,
      })
  }

  /**
   * Compiles the kernel for a device beside other work. What has not been prepared is compiled when it first runs, and
   * all else waits.
   * @throws GpuError when it does not compile
   */
  prepare(device: Device): Promise<void> {
    return this.#on(device).prepare()
  }

  #on(device: Device): Compiled {
    let compiled = this.#compiled.get(device)
    if (!compiled)
      this.#compiled.set(
        device,
        (compiled = new Compiled(device, this.name, this.source, this.#access, this.#params.length)),
      )
    return compiled
  }

  #pack(params: Readonly<Record<string, number>>, firstGroup: number): Uint32Array<ArrayBuffer> {
    const bytes = new DataView(new ArrayBuffer(paramBytes(this.#params.length)))
    this.#params.forEach(([field, type], i) => {
      const value = field === 'firstGroup' ? firstGroup : params[field]
      if (value === undefined) throw new Error(`kernel ${this.name}: no value for its parameter '${field}'`)
      if (type === 'f32') bytes.setFloat32(i * 4, value, true)
      else bytes.setUint32(i * 4, value, true)
    })
    return new Uint32Array(bytes.buffer)
  }
}

/**
 * Runs `act` without its dispatches, and compiles the kernels that it would have run, side by side. Tensors that `act`
 * makes have undefined elements. To be called with what is about to run for the first time, while its data is on its way.
 * @throws GpuError when a kernel does not compile
 */
export async function rehearse(device: Device, act: () => void): Promise<void> {
  const kernels = new Set<Kernel>()
  rehearsals.set(device, kernels)
  try {
    act()
  } finally {
    rehearsals.delete(device)
  }
  await Promise.all([...kernels].map((kernel) => kernel.prepare(device)))
}

/** A kernel on one device. */
class Compiled {
  readonly #descriptor: GPUComputePipelineDescriptor
  #pipeline: GPUComputePipeline | null = null
  readonly #device: Device
  readonly #layout: GPUBindGroupLayout
  readonly #name: string
  readonly #access: readonly Access[]
  readonly #paramBytes: number
  #bindGroups = new Map<string, GPUBindGroup>()

  constructor(device: Device, name: string, source: string, access: readonly Access[], params: number) {
    const { gpu } = device
    this.#device = device
    this.#name = name
    this.#paramBytes = paramBytes(params)
    this.#access = access
    const uniform = { buffer: { type: 'uniform', hasDynamicOffset: true, minBindingSize: this.#paramBytes } } as const
    const layouts = [uniform, ...access.map((kind) => (kind === 'texels' ? TEXELS_LAYOUT : { buffer: { type: kind } }))]
    this.#layout = gpu.createBindGroupLayout({
      label: name,
      entries: layouts.map((layout, binding) => ({ binding, visibility: GPUShaderStage.COMPUTE, ...layout })),
    })
    this.#descriptor = {
      label: name,
      layout: gpu.createPipelineLayout({ label: name, bindGroupLayouts: [this.#layout] }),
      compute: { module: gpu.createShaderModule({ label: name, code: source }), entryPoint: 'main' },
    }
    memoryOf(device).onTrim.push(() => this.#bindGroups.clear())
  }

  get pipeline(): GPUComputePipeline {
    return (this.#pipeline ??= this.#device.gpu.createComputePipeline(this.#descriptor))
  }

  async prepare(): Promise<void> {
    if (this.#pipeline) return
    const pipeline = await this.#device.gpu.createComputePipelineAsync(this.#descriptor).catch((error: Error) => {
      this.#device.checkLost()
      throw new GpuError(`kernel ${this.#name} does not compile: ${error.message}`)
    })
    this.#pipeline ??= pipeline
  }

  bindGroup(bindings: readonly Binding[]): GPUBindGroup {
    const idOf = ({ storage, shape }: Binding, i: number) =>
      this.#access[i] === 'texels' ? `${storage.id} ${shape}` : storage.id
    const key = bindings.map(idOf).join(';')
    let group = this.#bindGroups.get(key)
    if (group) return group
    if (this.#bindGroups.size === MAX_BIND_GROUPS) this.#bindGroups.clear()
    const params: GPUBufferBinding = { buffer: this.#device.paramsBuffer, size: this.#paramBytes }
    const ofBinding = (binding: Binding, i: number): GPUBindingResource =>
      this.#access[i] === 'texels' ? texelsOf(binding).view : { buffer: binding.storage.buffer }
    const resources = [params, ...bindings.map(ofBinding)]
    group = this.#device.gpu.createBindGroup({
      label: this.#name,
      layout: this.#layout,
      entries: resources.map((resource, binding) => ({ binding, resource })),
    })
    this.#bindGroups.set(key, group)
    return group
  }
}

/**
 * Workgroups for `count` work items, `size` of them to a workgroup, over x and then y, since a device takes only so
 * many along one axis. A kernel finds its item at `(group.y * groups.x + group.x) * size + lane`, and must check it.
 */
export function spread(device: Device, count: number, size: number): [x: number, y: number] {
  const groups = Math.ceil(count / size)
  const x = Math.min(groups, device.limits.maxComputeWorkgroupsPerDimension)
  return [x, x && Math.ceil(groups / x)]
}

type Workgroups = readonly [x: number, y: number, z: number]

/** Parts of at most `most` workgroups, or of whole lines of x where that is more than one; z stays whole. */
function* split([x, y, z]: Workgroups, most: number): Generator<{ first: number; workgroups: Workgroups }> {
  const groups = x * y
  if (groups <= most) return yield { first: 0, workgroups: [x, y, z] }
  const part = most < x ? most : most - (most % x)
  for (let first = 0; first < groups; first += part) {
    const count = Math.min(part, groups - first)
    yield { first, workgroups: count < x ? [count, 1, z] : [x, count / x, z] }
  }
}

const texelsOf = ({ storage, shape: [rows, columns] }: Binding): Texels => storage.texels(rows, columns)

const shapesOf = (bindings: readonly Binding[]): string => bindings.map(({ shape }) => `[${shape}]`).join(' ')

/** Uniform structs are padded to 16 bytes. */
const paramBytes = (count: number) => Math.max(16, Math.ceil(count / 4) * 16)

function substitute(name: string, source: string, constants: Constants): string {
  for (const [constant, value] of Object.entries(constants)) {
    const line = new RegExp(`^((?:const|alias) ${constant}\\b[^=]*=)[^;]*;`, 'm')
    if (!line.test(source)) throw new Error(`kernel ${name} has no constant '${constant}'`)
    source = source.replace(line, `$1 ${value};`)
  }
  return source
}

function parseParams(name: string, source: string): [string, Scalar][] {
  const body = source.match(/struct Params\s*\{([^}]*)\}/)?.[1]
  if (body === undefined) throw new Error(`kernel ${name} has no 'struct Params'`)
  return [...body.replace(/\/\/.*$/gm, '').matchAll(/(\w+)\s*:\s*(\w+)/g)].map(([, field, type]) => {
    if (type !== 'u32' && type !== 'i32' && type !== 'f32')
      throw new Error(`kernel ${name}: parameter '${field}' is ${type}; only u32, i32 and f32 can be passed`)
    return [field, type]
  })
}
