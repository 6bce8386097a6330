/**
 * The tensors that modules keep: parameters, which are trained, and buffers, which are not. Each is on no device until
 * its model is moved to one (`Module.to`); only then does it start from its `init`, unless a state was loaded before.
 */
import { type Device, type Shape, Tensor } from '../engine/index.ts'
import type { Stream } from '../engine/random.ts'
import { sizeOf } from '../engine/tensor.ts'
import type { Dtype } from './formats/dtypes.ts'
import type { SavedTensor } from './formats/file_tensor.ts'
import type { Init } from './init.ts'
import { inverse, permute, permuteShape } from './permute.ts'

/** A part of a model's state, as `stateDict` and `loadStateDict` see it: in PyTorch's shape and layout. */
export interface Stored {
  readonly savedShape: Shape
  readonly savedDtypes: readonly Dtype[]
  save(): Promise<SavedTensor>
  /** Takes elements whose shape and dtype were checked. Before it is on a device, it only notes where they are. */
  load(saved: SavedTensor): void
  place(device: Device, stream: Stream): void
  free(): void
}

/**
 * In which order PyTorch has the axes of a tensor: `conv` is HWIO here and OIHW there, `linear` [in, out] here and
 * [out, in] there. Kernels want the output channel last.
 */
export type Layout = 'conv' | 'linear' | 'same'

const SAVED_AXES: Readonly<Record<Layout, readonly number[] | null>> = {
  conv: [3, 2, 0, 1],
  linear: [1, 0],
  same: null,
}

export interface VariableOptions {
  /** 'same' unless given. */
  layout?: Layout
  init: Init
  /** Its elements, where they are on a device already. */
  tensor?: Tensor
}

export abstract class Variable implements Stored {
  /** In the kernels' layout. */
  readonly shape: Shape
  readonly layout: Layout
  readonly savedShape: Shape
  readonly savedDtypes = ['F32', 'F64', 'F16', 'BF16'] as const
  /** What it starts from. */
  init: Init
  /** f16 halves its memory, for weights of convolutions that are not trained; what is saved is rounded then. */
  dtype: 'f32' | 'f16' = 'f32'
  /** What it starts from instead: read when it is placed, so that a model never is in memory beside its file. */
  #loaded: SavedTensor | null = null
  #tensor: Tensor | null

  constructor(shape: Shape, { layout = 'same', init, tensor }: VariableOptions) {
    this.shape = shape
    this.layout = layout
    this.init = init
    this.#tensor = tensor ?? null
    const axes = SAVED_AXES[layout]
    this.savedShape = axes ? permuteShape(shape, axes) : shape
  }

  get size(): number {
    return sizeOf(this.shape)
  }

  get placed(): boolean {
    return this.#tensor !== null
  }

  /** The elements on the GPU. @throws Error before the model was moved to a device. */
  get tensor(): Tensor {
    if (!this.#tensor)
      throw new Error(`a parameter [${this.shape}] is on no device: call to(device) on the model first`)
    return this.#tensor
  }

  /** Puts the elements on a device: those loaded before, or else new ones drawn from `stream`. */
  place(device: Device, stream: Stream): void {
    if (this.#tensor?.device === device) return
    if (this.#tensor) throw new Error('a model stays on its device: save its state and load it into another model')
    const data = this.#loaded ? this.#decode(this.#loaded) : this.#draw(stream)
    this.#tensor = Tensor.from(device, data, this.shape, this.dtype)
    this.#loaded = null
  }

  #draw(stream: Stream): Float32Array {
    const data = new Float32Array(this.size)
    this.init(data, stream)
    return data
  }

  /** Elements in the kernels' layout. */
  #decode({ data: saved }: SavedTensor): Float32Array {
    const data = saved instanceof Float32Array ? saved : Float32Array.from(saved as Float64Array)
    const axes = SAVED_AXES[this.layout]
    return axes ? permute(data, this.savedShape, inverse(axes)) : data
  }

  async save(): Promise<SavedTensor> {
    const data = await this.tensor.read()
    const axes = SAVED_AXES[this.layout]
    return { dtype: 'F32', shape: this.savedShape, data: axes ? permute(data, this.shape, axes) : data }
  }

  load(saved: SavedTensor): void {
    if (this.#tensor) this.#tensor.write(this.#decode(saved))
    else this.#loaded = saved
  }

  free(): void {
    this.#tensor?.release()
    this.#tensor = null
  }
}

/** A tensor that is trained. Its gradient accumulates in `grad`. */
export class Parameter extends Variable {
  #requiresGrad = true

  constructor(shape: Shape, options: VariableOptions) {
    super(shape, options)
    if (options.tensor) options.tensor.requiresGrad = true
  }

  /** False for a frozen parameter: ops record nothing for its sake. */
  get requiresGrad(): boolean {
    return this.#requiresGrad
  }

  set requiresGrad(mode: boolean) {
    this.#requiresGrad = mode
    if (this.placed) this.tensor.requiresGrad = mode
  }

  get grad(): Tensor | null {
    return this.tensor.grad
  }

  override place(device: Device, stream: Stream): void {
    super.place(device, stream)
    this.tensor.requiresGrad = this.#requiresGrad
  }

  /** Forgets the gradient. */
  zeroGrad(): void {
    this.tensor.grad?.release()
    this.tensor.grad = null
  }

  override free(): void {
    if (this.placed) this.zeroGrad()
    super.free()
  }
}

/** A tensor that is kept but not trained. */
export class Buffer extends Variable {}

/** A number that is kept on the CPU and saved as an I64 scalar. */
export class Counter implements Stored {
  value = 0
  readonly savedShape = []
  readonly savedDtypes = ['I64'] as const

  async save(): Promise<SavedTensor> {
    return { dtype: 'I64', shape: [], data: BigInt64Array.of(BigInt(this.value)) }
  }

  load({ data }: SavedTensor): void {
    this.value = Number(data[0])
  }

  place(): void {}

  free(): void {}
}
