/**
 * The one room that talks to the GPU.
 *
 * Commands are encoded into one open command buffer and sent when it is full, when somebody reads a result, or on
 * `flush`. A queue runs them in the order given, so a buffer may be handed to its next user as soon as the commands of
 * its last one are encoded. WebGPU reports errors later than it makes them: the first one is kept, and the next
 * `flush` or `read` throws it.
 */
import { GpuError } from './errors.ts'

/** Features asked for wherever the adapter has them; kernels look in `Device.features` before they rely on one. */
const WANTED_FEATURES: GPUFeatureName[] = ['subgroups', 'shader-f16', 'timestamp-query']

/** Dispatches encoded before the command buffer is sent, so that the GPU works while the CPU goes on encoding. */
const DISPATCHES_PER_SUBMIT = 128

/** Bytes of the buffer that holds the parameters of one command buffer's dispatches. */
const PARAMS_BYTES = 65536

export interface Dispatch {
  pipeline: GPUComputePipeline
  bindGroup: GPUBindGroup
  /** The kernel's `Params`, packed. */
  params: Uint32Array<ArrayBuffer>
  workgroups: readonly [number, number, number]
  /** For the driver's messages and the profiler. */
  kernel: string
  shapes: string
}

/** Times dispatches; `Profiler` in profile.ts is the one there is. */
export interface DispatchTimer {
  /** Whether no further dispatch can be timed before `resolve`. */
  readonly full: boolean
  begin(kernel: string, shapes: string): GPUComputePassTimestampWrites
  /** Says which op the dispatches since the last call belong to. */
  nameOp(op: string): void
  /** Called before a command buffer is sent. */
  resolve(encoder: GPUCommandEncoder): void
}

export class Device {
  readonly gpu: GPUDevice
  readonly info: GPUAdapterInfo
  readonly limits: GPUSupportedLimits
  readonly features: ReadonlySet<string>
  /** True for a driver that runs on the CPU (lavapipe, SwiftShader, WARP). */
  readonly software: boolean
  /** Smallest and largest subgroup a kernel may meet; null where the adapter has no subgroups. */
  readonly subgroups: { min: number; max: number } | null
  /** Holds the uniform parameters of the dispatches being encoded; bound with a dynamic offset. */
  readonly paramsBuffer: GPUBuffer
  /** Set while dispatches are timed. */
  timer: DispatchTimer | null = null

  #encoder: GPUCommandEncoder | null = null
  #pass: GPUComputePassEncoder | null = null
  #dispatches = 0
  #params = new Uint32Array(PARAMS_BYTES / 4)
  #paramsUsed = 0
  #fault: GpuError | null = null
  #destroyed = false

  private constructor(adapter: GPUAdapter, gpu: GPUDevice) {
    this.gpu = gpu
    this.info = adapter.info
    this.limits = gpu.limits
    this.features = gpu.features as ReadonlySet<string>
    this.software = adapter.info.isFallbackAdapter === true
    const { subgroupMinSize: min, subgroupMaxSize: max } = adapter.info
    this.subgroups = min && max && this.features.has('subgroups') ? { min, max } : null
    this.paramsBuffer = gpu.createBuffer({
      label: 'params',
      size: PARAMS_BYTES,
      usage: GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST,
    })
    gpu.addEventListener('uncapturederror', (event) => {
      event.preventDefault() // it would be printed
      this.#fault ??= new GpuError(explain(event.error))
    })
    gpu.lost.then(({ reason, message }) => {
      if (!this.#destroyed) this.#fault ??= new GpuError(`the GPU device was lost (${reason}): ${message}`)
    })
  }

  /**
   * Opens a device with the adapter's own limits (WebGPU's defaults are low) and the features that kernels use.
   * @throws GpuError when the adapter gives no device.
   */
  static async create(adapter: GPUAdapter): Promise<Device> {
    const requiredLimits: Record<string, number> = {}
    for (const name of ADAPTER_LIMITS) requiredLimits[name] = adapter.limits[name]
    const requiredFeatures = WANTED_FEATURES.filter((name) => adapter.features.has(name))
    const gpu = await adapter.requestDevice({ requiredLimits, requiredFeatures }).catch((error: Error) => {
      throw new GpuError(`the adapter ${adapter.info.description} gave no device: ${error.message}`)
    })
    return new Device(adapter, gpu)
  }

  createBuffer(bytes: number): GPUBuffer {
    const { STORAGE, COPY_SRC, COPY_DST } = GPUBufferUsage
    return this.gpu.createBuffer({ size: bytes, usage: STORAGE | COPY_SRC | COPY_DST })
  }

  /** Writes `data` after all commands given so far. */
  write(buffer: GPUBuffer, data: Float32Array | Uint32Array | Uint8Array, offset = 0): void {
    this.flush()
    // Dawn takes no view of a SharedArrayBuffer.
    const view = data.buffer instanceof ArrayBuffer ? (data as Uint8Array<ArrayBuffer>) : data.slice()
    this.gpu.queue.writeBuffer(buffer, offset, view)
  }

  dispatch({ pipeline, bindGroup, params, workgroups, kernel, shapes }: Dispatch): void {
    const align = Math.max(this.limits.minUniformBufferOffsetAlignment, 16) / 4
    const slot = Math.ceil(params.length / align) * align
    const full = this.#paramsUsed + slot > this.#params.length || this.#dispatches === DISPATCHES_PER_SUBMIT
    if (full || this.timer?.full) this.flush()
    const pass = this.timer ? this.#timedPass(this.timer.begin(kernel, shapes)) : this.#openPass()
    this.#params.set(params, this.#paramsUsed)
    pass.pushDebugGroup(`${kernel} ${shapes}`)
    pass.setPipeline(pipeline)
    pass.setBindGroup(0, bindGroup, [this.#paramsUsed * 4])
    pass.dispatchWorkgroups(...workgroups)
    pass.popDebugGroup()
    this.#paramsUsed += slot
    this.#dispatches++
  }

  copy(from: GPUBuffer, to: GPUBuffer, bytes: number, fromOffset = 0, toOffset = 0): void {
    this.#openEncoder().copyBufferToBuffer(from, fromOffset, to, toOffset, bytes)
  }

  clear(buffer: GPUBuffer): void {
    this.#openEncoder().clearBuffer(buffer)
  }

  /**
   * Sends what has been encoded.
   * @throws GpuError the first error that the GPU has reported since the device was opened.
   */
  flush(): void {
    if (this.#encoder) {
      this.#pass?.end()
      this.timer?.resolve(this.#encoder)
      if (this.#paramsUsed) this.gpu.queue.writeBuffer(this.paramsBuffer, 0, this.#params, 0, this.#paramsUsed)
      this.gpu.queue.submit([this.#encoder.finish()])
      this.#encoder = this.#pass = null
      this.#dispatches = this.#paramsUsed = 0
    }
    this.check()
  }

  /**
   * The bytes of a buffer as they are after all commands given so far. The copy is taken in order with those commands,
   * so the buffer may be reused while the promise is pending.
   * @throws GpuError as `flush`, or when the device is lost before the bytes arrive.
   */
  async read(buffer: GPUBuffer, bytes: number): Promise<ArrayBuffer> {
    const staging = this.gpu.createBuffer({
      label: 'read back',
      size: Math.max(4, bytes),
      usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST,
    })
    this.copy(buffer, staging, bytes)
    this.flush()
    try {
      await staging.mapAsync(GPUMapMode.READ)
    } catch (error) {
      this.check()
      throw new GpuError(`reading a result back failed: ${(error as Error).message}`)
    }
    this.check()
    const result = staging.getMappedRange().slice(0)
    staging.destroy()
    return result
  }

  /** Sends what has been encoded and waits until the GPU has done it. */
  async idle(): Promise<void> {
    this.flush()
    await this.gpu.queue.onSubmittedWorkDone()
    this.check()
  }

  /** @throws GpuError the first error that the GPU has reported. */
  check(): void {
    if (this.#fault) throw this.#fault
  }

  /** Gives everything back; a process ends only after this. */
  destroy(): void {
    this.#destroyed = true
    this.gpu.destroy()
  }

  #openEncoder(): GPUCommandEncoder {
    this.#pass?.end()
    this.#pass = null
    return (this.#encoder ??= this.gpu.createCommandEncoder())
  }

  /** A pass for one dispatch. */
  #timedPass(timestampWrites: GPUComputePassTimestampWrites): GPUComputePassEncoder {
    return (this.#pass = this.#openEncoder().beginComputePass({ timestampWrites }))
  }

  #openPass(): GPUComputePassEncoder {
    this.#encoder ??= this.gpu.createCommandEncoder()
    return (this.#pass ??= this.#encoder.beginComputePass())
  }
}

/** The limits that compute kernels meet. */
const ADAPTER_LIMITS = [
  'maxBufferSize',
  'maxStorageBufferBindingSize',
  'maxStorageBuffersPerShaderStage',
  'maxComputeWorkgroupStorageSize',
  'maxComputeInvocationsPerWorkgroup',
  'maxComputeWorkgroupSizeX',
  'maxComputeWorkgroupSizeY',
  'maxComputeWorkgroupSizeZ',
  'maxComputeWorkgroupsPerDimension',
  'minUniformBufferOffsetAlignment',
  'minStorageBufferOffsetAlignment',
] as const

function explain(error: GPUError): string {
  if (error instanceof GPUOutOfMemoryError)
    return `the GPU has no memory left (${error.message}): lower the batch size or the image size`
  return `the GPU refused a command: ${error.message}`
}
