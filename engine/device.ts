/**
 * The one room that talks to the GPU.
 *
 * Commands are encoded into one open command buffer and sent when it is full, when somebody reads a result, or on
 * `flush`. A queue runs them in the order given, so a buffer may be handed to its next user as soon as the commands of
 * its last one are encoded. WebGPU reports errors later than it makes them: the first one is kept, and the next
 * `flush` or `read` throws it.
 *
 * What is written may be a promise, of a sum over several processes, say: commands given later are then encoded all the
 * same, but kept back until it has been written. So nobody who gives commands need wait for what others compute.
 */
import { ADAPTER_LIMITS, type MatrixCores, matrixCoresOf, WANTED_FEATURES } from './adapter.ts'
import { DeviceLostError, GpuError, OutOfMemoryError } from './errors.ts'
import { Pace, type Sent } from './pace.ts'
import { StagingPool } from './staging.ts'

/** Milliseconds for which the reason of a failed read is waited for: a lost device tells of both at about the same time. */
const REASON_WAIT = 200

/** Bytes of the buffer that holds the parameters of one command buffer's dispatches. */
const PARAMS_BYTES = 65536

/** What buffers are written from. */
export type Writable = Float32Array | Uint32Array | Uint8Array

/** The first `bytes` of a buffer. */
export interface BufferPart {
  buffer: GPUBuffer
  bytes: number
}

export interface Dispatch {
  pipeline: GPUComputePipeline
  bindGroup: GPUBindGroup
  /** The kernel's `Params`, packed. */
  params: Uint32Array<ArrayBuffer>
  workgroups: readonly [number, number, number]
  /** For the driver's messages and the profiler. */
  kernel: string
  shapes: string
  /** Parts that it could be split into; 1 where it cannot. */
  groups: number
  /** Whether it needs a command buffer of its own. */
  alone: boolean
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
  /** What its matrix cores multiply, of f16 with sums in f32; null where there are none that kernels can use. */
  readonly matrixCores: MatrixCores | null
  /** Smallest and largest subgroup a kernel may meet; null where the adapter has no subgroups. */
  readonly subgroups: { min: number; max: number } | null
  /** Holds the uniform parameters of the dispatches being encoded; bound with a dynamic offset. */
  readonly paramsBuffer: GPUBuffer
  /** How much of the work goes to the GPU at once. */
  readonly pace = new Pace()
  /** Set while dispatches are timed. */
  timer: DispatchTimer | null = null

  #encoder: GPUCommandEncoder | null = null
  #pass: GPUComputePassEncoder | null = null
  #dispatches = 0
  #last: Sent | null = null
  #params = new Uint32Array(PARAMS_BYTES / 4)
  #paramsUsed = 0
  #fault: Error | null = null
  readonly #readStaging: StagingPool
  readonly #writeStaging: StagingPool
  /** The end of what is kept back behind a promised write; null while nothing is. */
  #turn: Promise<void> | null = null
  #destroyed = false

  private constructor(adapter: GPUAdapter, gpu: GPUDevice) {
    this.gpu = gpu
    this.#readStaging = new StagingPool(gpu, 'read')
    this.#writeStaging = new StagingPool(gpu, 'write')
    this.info = adapter.info
    this.limits = gpu.limits
    this.features = gpu.features as ReadonlySet<string>
    this.software = adapter.info.isFallbackAdapter === true
    const { subgroupMinSize: min, subgroupMaxSize: max } = adapter.info
    this.matrixCores = matrixCoresOf(adapter.info, this.features)
    this.subgroups = min && max && this.features.has('subgroups') ? { min, max } : null
    this.paramsBuffer = gpu.createBuffer({
      label: 'params',
      size: PARAMS_BYTES,
      usage: GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST,
    })
    gpu.addEventListener('uncapturederror', (event) => {
      event.preventDefault() // it would be printed
      this.#fault ??= faultOf(event.error)
    })
    gpu.lost.then((info) => {
      // Whatever else has failed by then has failed of this.
      if (!this.#destroyed) this.#fault = this.#lossOf(info)
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

  /** @param describe what it is for, asked when it turns out that there is no memory for it */
  createBuffer(bytes: number, describe = () => 'a buffer'): GPUBuffer {
    const { STORAGE, COPY_SRC, COPY_DST } = GPUBufferUsage
    this.gpu.pushErrorScope('out-of-memory')
    const buffer = this.gpu.createBuffer({ size: bytes, usage: STORAGE | COPY_SRC | COPY_DST })
    this.gpu.popErrorScope().then(
      (error) => {
        // Commands with the buffer, which is none, fail of this.
        if (error && !(this.#fault instanceof DeviceLostError))
          this.#fault = new OutOfMemoryError(`${describe()}, ${bytes} bytes`, 'the GPU has no memory left')
      },
      () => {}, // the device is lost, which is told apart
    )
    return buffer
  }

  #lossOf({ reason, message }: GPUDeviceLostInfo): DeviceLostError {
    const { longest } = this.pace
    const slow =
      longest > 1000
        ? ` (one dispatch, which cannot be split, took ${(longest / 1000).toFixed(1)} s, and drivers end those of a few seconds: compute fewer images at a time)`
        : ''
    return new DeviceLostError(`the GPU device was lost (${reason}): ${message}${slow}`)
  }

  /**
   * Writes `data` after all commands given so far. Promised data is written when it comes, and what is given after it
   * runs after that; should the promise fail, none of it ever runs, and `flush` and `read` throw its error.
   */
  write(buffer: GPUBuffer, data: Writable | Promise<Writable>, offset = 0): void {
    this.flush()
    const put = (values: Writable) => this.gpu.queue.writeBuffer(buffer, offset, values)
    if (data instanceof Promise) {
      data.catch(() => {}) // heard in its turn, which does not come when an earlier one failed
      this.#keepBack(this.sent().then(async () => put(await data)))
    }
    // Dawn takes no view of a SharedArrayBuffer; and what is written later must not have changed by then.
    else if (this.#turn || !(data.buffer instanceof ArrayBuffer)) {
      const copy = data.slice()
      this.inTurn(() => put(copy))
    } else put(data)
  }

  /** Does `act` after all commands given so far have been sent: at once, unless some are kept back. */
  inTurn(act: () => void): void {
    if (this.#turn) this.#keepBack(this.#turn.then(act))
    else act()
  }

  /** Ends when all commands given so far, those kept back too, have been sent. */
  sent(): Promise<void> {
    return this.#turn ?? Promise.resolve()
  }

  #keepBack(turn: Promise<void>): void {
    this.#turn = turn
    const sent = () => {
      if (this.#turn === turn) this.#turn = null
    }
    turn.then(sent, (error: Error) => {
      if (this.#turn === turn) this.#fault ??= error
    })
  }

  /**
   * Forgets what is kept back, and the error of a promise that failed, so that buffers can be read as the commands that
   * did run have left them.
   */
  dropKeptBack(): void {
    this.#encoder = this.#pass = null
    this.#dispatches = this.#paramsUsed = 0
    this.#turn = null
    this.#fault = this.#fault instanceof GpuError ? this.#fault : null
  }

  dispatch({ pipeline, bindGroup, params, workgroups, kernel, shapes, groups, alone }: Dispatch): void {
    const align = Math.max(this.limits.minUniformBufferOffsetAlignment, 16) / 4
    const slot = Math.ceil(params.length / align) * align
    const full = this.#paramsUsed + slot > this.#params.length || this.#dispatches >= this.pace.dispatches
    if (full || this.timer?.full || (alone && this.#dispatches > 0)) this.flush()
    const pass = this.timer ? this.#timedPass(this.timer.begin(kernel, shapes)) : this.#openPass()
    this.#params.set(params, this.#paramsUsed)
    const name = `${kernel} ${shapes}`
    pass.pushDebugGroup(name)
    pass.setPipeline(pipeline)
    pass.setBindGroup(0, bindGroup, [this.#paramsUsed * 4])
    pass.dispatchWorkgroups(...workgroups)
    pass.popDebugGroup()
    this.#paramsUsed += slot
    this.#dispatches++
    this.#last = { name, groups }
    if (alone) this.flush()
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
      this.#submit(this.#encoder.finish(), this.#paramsUsed, this.#dispatches)
      this.#encoder = this.#pass = null
      this.#dispatches = this.#paramsUsed = 0
    }
    this.check()
  }

  #submit(commands: GPUCommandBuffer, paramsUsed: number, dispatches: number): void {
    const alone = dispatches === 1 ? this.#last : null
    const params = this.#turn ? this.#params.slice(0, paramsUsed) : this.#params
    this.inTurn(() => {
      if (paramsUsed) this.gpu.queue.writeBuffer(this.paramsBuffer, 0, params, 0, paramsUsed)
      this.gpu.queue.submit([commands])
      // A driver on the CPU has no watchdog.
      if (dispatches > 0 && !this.software) this.#measure(dispatches, alone)
    })
  }

  #measure(dispatches: number, alone: Sent | null): void {
    const done = this.pace.sent(dispatches, performance.now(), alone)
    this.gpu.queue.onSubmittedWorkDone().then(
      () => done(performance.now()),
      () => {}, // the device is lost
    )
  }

  /**
   * The bytes of a buffer as they are after all commands given so far. The copy is taken in order with those commands,
   * so the buffer may be reused while the promise is pending.
   * @throws GpuError as `flush`, or when the device is lost before the bytes arrive.
   */
  read(buffer: GPUBuffer, bytes: number): Promise<ArrayBuffer> {
    return this.readAll([{ buffer, bytes }])
  }

  /** `read` of several buffers at once, their bytes one after the other. */
  async readAll(parts: readonly BufferPart[]): Promise<ArrayBuffer> {
    const total = parts.reduce((sum, { bytes }) => sum + bytes, 0)
    const staging = this.#readStaging.take(Math.max(4, total))
    let offset = 0
    for (const { buffer, bytes } of parts) {
      this.copy(buffer, staging, bytes, 0, offset)
      offset += bytes
    }
    this.flush()
    if (this.#turn) await this.#turn
    try {
      await staging.mapAsync(GPUMapMode.READ)
    } catch (error) {
      await Promise.race([this.gpu.lost, new Promise((resolve) => setTimeout(resolve, REASON_WAIT))])
      this.check()
      throw new GpuError(`reading a result back failed: ${(error as Error).message}`)
    }
    this.check()
    const result = staging.getMappedRange().slice(0, total)
    staging.unmap()
    this.#readStaging.give(staging)
    return result
  }

  /** `write` of promised data to several buffers at once, one after the other. */
  writeAll(parts: readonly BufferPart[], data: Promise<Float32Array>): void {
    this.flush()
    data.catch(() => {}) // heard in its turn, as in `write`
    this.#keepBack(this.sent().then(async () => this.#writeParts(parts, await data)))
  }

  #writeParts(parts: readonly BufferPart[], data: Float32Array): void {
    const staging = this.#writeStaging.take(data.byteLength)
    new Float32Array(staging.getMappedRange()).set(data)
    staging.unmap()
    const encoder = this.gpu.createCommandEncoder()
    let offset = 0
    for (const { buffer, bytes } of parts) {
      encoder.copyBufferToBuffer(staging, offset, buffer, 0, bytes)
      offset += bytes
    }
    this.gpu.queue.submit([encoder.finish()])
    // It can be mapped again when it has been copied from; that a device is lost is heard elsewhere.
    staging.mapAsync(GPUMapMode.WRITE).then(
      () => this.#writeStaging.give(staging),
      () => {},
    )
  }

  /** Sends what has been encoded and waits until the GPU has done it. */
  async idle(): Promise<void> {
    this.flush()
    if (this.#turn) await this.#turn
    await this.gpu.queue.onSubmittedWorkDone()
    this.check()
  }

  /** @throws GpuError the first error that the GPU has reported. */
  check(): void {
    if (this.#fault) throw this.#fault
  }

  /** @throws DeviceLostError once the device is lost. */
  checkLost(): void {
    if (this.#fault instanceof DeviceLostError) throw this.#fault
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

function faultOf(error: GPUError): GpuError {
  if (error instanceof GPUOutOfMemoryError)
    return new OutOfMemoryError(`a command (${error.message})`, 'the GPU has no memory left')
  return new GpuError(`the GPU refused a command: ${error.message}`)
}
