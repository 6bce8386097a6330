/**
 * The one room that talks to the GPU.
 *
 * Commands are encoded into one open command buffer (commands.ts) and sent when it is full, when somebody reads a
 * result, or on `flush`. A queue runs them in the order given, so a buffer may be handed to its next user as soon as the
 * commands of its last one are encoded. The first error that the GPU reports (faults.ts) is thrown by the next `flush` or
 * `read`.
 *
 * What is written may be a promise, of a sum over several processes, say: commands given later are then encoded all the
 * same, but kept back until it has been written (turns.ts).
 */
import { ADAPTER_LIMITS, type MatrixCores, matrixCoresOf, WANTED_FEATURES } from './adapter.ts'
import { Commands, type Dispatch, type DispatchTimer, type Finished } from './commands.ts'
import { GpuError } from './errors.ts'
import { Faults } from './faults.ts'
import { Pace, type Sent } from './pace.ts'
import { StagingPool } from './staging.ts'
import { Turns } from './turns.ts'

/** Milliseconds for which the reason of a failed read is waited for: a lost device tells of both at about the same time. */
const REASON_WAIT = 200

/** What buffers are written from. */
export type Writable = Float32Array | Uint32Array | Uint8Array

/** The first `bytes` of a buffer. */
export interface BufferPart {
  buffer: GPUBuffer
  bytes: number
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
  /** How much of the work goes to the GPU at once. */
  readonly pace = new Pace()
  /** How often commands were dropped. What they were to write may never have been written. */
  drops = 0
  /** Set while dispatches are timed. */
  timer: DispatchTimer | null = null

  readonly #commands: Commands
  readonly #faults = new Faults()
  readonly #readStaging: StagingPool
  readonly #writeStaging: StagingPool
  readonly #turns = new Turns((error) => this.#faults.note(error))
  #destroyed = false

  private constructor(adapter: GPUAdapter, gpu: GPUDevice) {
    this.gpu = gpu
    this.#readStaging = new StagingPool(gpu, 'read')
    this.#writeStaging = new StagingPool(gpu, 'write')
    this.info = adapter.info
    this.limits = gpu.limits
    this.#commands = new Commands(gpu)
    this.features = gpu.features as ReadonlySet<string>
    this.software = adapter.info.isFallbackAdapter === true
    const { subgroupMinSize: min, subgroupMaxSize: max } = adapter.info
    this.matrixCores = matrixCoresOf(adapter.info, this.features)
    this.subgroups = min && max && this.features.has('subgroups') ? { min, max } : null
    gpu.addEventListener('uncapturederror', (event) => {
      event.preventDefault() // it would be printed
      this.#faults.noteReported(event.error)
    })
    gpu.lost.then((info) => {
      if (!this.#destroyed) this.#faults.noteLoss(info, this.pace.longest)
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

  /** Holds the uniform parameters of the dispatches being encoded; bound with a dynamic offset. */
  get paramsBuffer(): GPUBuffer {
    return this.#commands.paramsBuffer
  }

  /** @param describe what it is for, asked when it turns out that there is no memory for it */
  createBuffer(bytes: number, describe = () => 'a buffer'): GPUBuffer {
    const { STORAGE, COPY_SRC, COPY_DST } = GPUBufferUsage
    return this.#noteIfTooLarge(
      () => this.gpu.createBuffer({ size: bytes, usage: STORAGE | COPY_SRC | COPY_DST }),
      () => `${describe()}, ${bytes} bytes`,
    )
  }

  /** A texture of four floats a texel, which kernels read. @param describe as of `createBuffer` */
  createTexture(width: number, height: number, describe: () => string): GPUTexture {
    const { STORAGE_BINDING, COPY_DST } = GPUTextureUsage
    const size = [width, height]
    return this.#noteIfTooLarge(
      () => this.gpu.createTexture({ size, format: 'rgba32float', usage: STORAGE_BINDING | COPY_DST }),
      () => `${describe()}, as a texture ${width} × ${height}`,
    )
  }

  #noteIfTooLarge<T>(create: () => T, describe: () => string): T {
    this.gpu.pushErrorScope('out-of-memory')
    const created = create()
    this.gpu.popErrorScope().then(
      (error) => {
        if (error) this.#faults.noteOutOfMemory(describe())
      },
      () => {}, // the device is lost, which is told apart
    )
    return created
  }

  /**
   * Writes `data` after all commands given so far. Promised data is written when it comes, and what is given after it
   * runs after that; should the promise fail, none of it ever runs, and `flush` and `read` throw its error.
   */
  write(buffer: GPUBuffer, data: Writable | Promise<Writable>, offset = 0): void {
    this.flush()
    const put = (values: Writable) => this.gpu.queue.writeBuffer(buffer, offset, values)
    if (data instanceof Promise) this.#turns.takeAfter(data, put)
    // Dawn takes no view of a SharedArrayBuffer; and what is written later must not have changed by then.
    else if (this.#turns.waiting || !(data.buffer instanceof ArrayBuffer)) {
      const copy = data.slice()
      this.inTurn(() => put(copy))
    } else put(data)
  }

  /** Does `act` after all commands given so far have been sent: at once, unless some are kept back. */
  inTurn(act: () => void): void {
    this.#turns.take(act)
  }

  /** Ends when all commands given so far, those kept back too, have been sent. */
  sent(): Promise<void> {
    return this.#turns.end()
  }

  /**
   * Forgets what is kept back, and the error of a promise that failed, so that buffers can be read as the commands that
   * did run have left them.
   */
  dropKeptBack(): void {
    this.drops++
    this.#commands.drop()
    this.#turns.drop()
    this.#faults.dropForeign()
  }

  dispatch(dispatch: Dispatch): void {
    const { dispatches } = this.#commands
    const isFull = dispatches >= this.pace.dispatches || !this.#commands.hasRoomFor(dispatch) || this.timer?.full
    if (isFull || (dispatch.alone && dispatches > 0)) this.flush()
    this.#commands.dispatch(dispatch, this.timer)
    if (dispatch.alone) this.flush()
  }

  copy(from: GPUBuffer, to: GPUBuffer, bytes: number, fromOffset = 0, toOffset = 0): void {
    this.#commands.copy(from, to, bytes, fromOffset, toOffset)
  }

  copyToTexture(from: GPUTexelCopyBufferInfo, to: GPUTexelCopyTextureInfo, size: GPUExtent3DStrict): void {
    this.#commands.copyToTexture(from, to, size)
  }

  clear(buffer: GPUBuffer): void {
    this.#commands.clear(buffer)
  }

  /**
   * Sends what has been encoded.
   * @throws GpuError the first error that the GPU has reported since the device was opened.
   */
  flush(): void {
    const finished = this.#commands.finish(this.timer)
    if (finished) this.#submit(finished)
    this.check()
  }

  #submit({ commands, params, dispatches, alone }: Finished): void {
    const values = this.#turns.waiting ? params.slice() : params
    this.inTurn(() => {
      if (values.length > 0) this.gpu.queue.writeBuffer(this.paramsBuffer, 0, values)
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
    await this.sent()
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
    this.#turns.takeAfter(data, (values) => this.#writeParts(parts, values))
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
    await this.sent()
    await this.gpu.queue.onSubmittedWorkDone()
    this.check()
  }

  /** @throws GpuError the first error that the GPU has reported. */
  check(): void {
    this.#faults.check()
  }

  /** @throws DeviceLostError once the device is lost. */
  checkLost(): void {
    this.#faults.checkLost()
  }

  /** Gives everything back; a process ends only after this. */
  destroy(): void {
    this.#destroyed = true
    this.gpu.destroy()
  }
}
