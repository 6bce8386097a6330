/** The command buffer that is being encoded, and the parameters of its dispatches. */
import type { Sent } from './pace.ts'

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

/** A command buffer that can be sent. */
export interface Finished {
  commands: GPUCommandBuffer
  /** What `paramsBuffer` must hold when it runs. Overwritten by the dispatches that are encoded next. */
  params: Uint32Array<ArrayBuffer>
  dispatches: number
  /** Its dispatch, if it has just one. */
  alone: Sent | null
}

export class Commands {
  /** Holds the uniform parameters of the dispatches; bound with a dynamic offset. */
  readonly paramsBuffer: GPUBuffer
  readonly #gpu: GPUDevice
  /** Elements that parameters begin at a multiple of. */
  readonly #align: number
  #encoder: GPUCommandEncoder | null = null
  #pass: GPUComputePassEncoder | null = null
  #dispatches = 0
  #last: Sent | null = null
  readonly #params = new Uint32Array(PARAMS_BYTES / 4)
  #paramsUsed = 0

  constructor(gpu: GPUDevice) {
    this.#gpu = gpu
    this.#align = Math.max(gpu.limits.minUniformBufferOffsetAlignment, 16) / 4
    this.paramsBuffer = gpu.createBuffer({
      label: 'params',
      size: PARAMS_BYTES,
      usage: GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST,
    })
  }

  /** How many have been encoded. */
  get dispatches(): number {
    return this.#dispatches
  }

  /** Whether the parameters of one more find a place. */
  hasRoomFor({ params }: Dispatch): boolean {
    return this.#paramsUsed + this.#slot(params) <= this.#params.length
  }

  /** @param timer of this dispatch; null where it is not timed */
  dispatch({ pipeline, bindGroup, params, workgroups, kernel, shapes, groups }: Dispatch, timer: DispatchTimer | null) {
    const pass = timer ? this.#timedPass(timer.begin(kernel, shapes)) : this.#openPass()
    this.#params.set(params, this.#paramsUsed)
    const name = `${kernel} ${shapes}`
    pass.pushDebugGroup(name)
    pass.setPipeline(pipeline)
    pass.setBindGroup(0, bindGroup, [this.#paramsUsed * 4])
    pass.dispatchWorkgroups(...workgroups)
    pass.popDebugGroup()
    this.#paramsUsed += this.#slot(params)
    this.#dispatches++
    this.#last = { name, groups }
  }

  copy(from: GPUBuffer, to: GPUBuffer, bytes: number, fromOffset: number, toOffset: number): void {
    this.#openEncoder().copyBufferToBuffer(from, fromOffset, to, toOffset, bytes)
  }

  copyToTexture(from: GPUTexelCopyBufferInfo, to: GPUTexelCopyTextureInfo, size: GPUExtent3DStrict): void {
    this.#openEncoder().copyBufferToTexture(from, to, size)
  }

  clear(buffer: GPUBuffer): void {
    this.#openEncoder().clearBuffer(buffer)
  }

  /** What has been encoded, and begins anew; null where nothing has. */
  finish(timer: DispatchTimer | null): Finished | null {
    if (!this.#encoder) return null
    this.#pass?.end()
    timer?.resolve(this.#encoder)
    const finished: Finished = {
      commands: this.#encoder.finish(),
      params: this.#params.subarray(0, this.#paramsUsed),
      dispatches: this.#dispatches,
      alone: this.#dispatches === 1 ? this.#last : null,
    }
    this.drop()
    return finished
  }

  /** Forgets what has been encoded. */
  drop(): void {
    this.#encoder = this.#pass = null
    this.#dispatches = this.#paramsUsed = 0
  }

  /** Elements from one dispatch's parameters to the next one's. */
  #slot({ length }: Uint32Array): number {
    return Math.ceil(length / this.#align) * this.#align
  }

  #openEncoder(): GPUCommandEncoder {
    this.#pass?.end()
    this.#pass = null
    return (this.#encoder ??= this.#gpu.createCommandEncoder())
  }

  /** A pass for one dispatch. */
  #timedPass(timestampWrites: GPUComputePassTimestampWrites): GPUComputePassEncoder {
    return (this.#pass = this.#openEncoder().beginComputePass({ timestampWrites }))
  }

  #openPass(): GPUComputePassEncoder {
    this.#encoder ??= this.#gpu.createCommandEncoder()
    return (this.#pass ??= this.#encoder.beginComputePass())
  }
}
