/**
 * A shape over a buffer on the GPU; no arithmetic. Tensors are row-major and contiguous, images [N, H, W, C].
 *
 * Lifetime: what a `scope` makes is freed when the scope ends, except what its function returns. What is made outside
 * any scope is its maker's (`release` frees it), with the garbage collector as a safety net.
 */
import type { Device } from './device.ts'
import { ShapeError, show } from './errors.ts'
import { fromHalf, toHalf } from './half.ts'
import { memoryOf, type Storage } from './memory.ts'

/** f16: half precision, for what no gradient is wanted of. Ops take it where they say so. */
export type DType = 'f32' | 'f16' | 'u32'
export type Shape = readonly number[]

export const sizeOf = (shape: Shape): number => shape.reduce((product, n) => product * n, 1)

/** Bytes of an element. */
const BYTES: Readonly<Record<DType, number>> = { f32: 4, f16: 2, u32: 4 }

/**
 * For an op that can add to its result as it writes it: what an input has received from other ops so far, null if
 * nothing. The op promises that the gradient it gives the input includes that.
 */
export type Received = (input: Tensor) => Tensor | null

export interface SgdStepOptions {
  lr: number
  momentum: number
  weightDecay: number
}

/** A step of SGD that a parameter is to make: what `sgdStep` of ops/update.ts takes, but for the gradient. */
export interface SgdUpdate extends SgdStepOptions {
  param: Tensor
  velocity: Tensor
}

/**
 * For an op that can move a parameter as it computes its gradient: the step that an input is to make, null if the gradient
 * itself is wanted, or more of it is to come. An op that has made the step gives null for that input's gradient.
 */
export type UpdateOf = (input: Tensor) => SgdUpdate | null

/** What autograd keeps of the op that made a tensor. */
export interface Node {
  readonly id: number
  readonly name: string
  readonly inputs: readonly Tensor[]
  /** The gradient of each input, null where none is needed. Takes the output's gradient. */
  readonly backward: (dy: Tensor, received: Received, updateOf: UpdateOf) => readonly (Tensor | null)[]
  /** Lets go of the tensors kept for `backward`. */
  release(): void
}

export class Tensor {
  readonly device: Device
  readonly shape: Shape
  readonly dtype: DType
  readonly size: number
  /** Leaves that require a gradient get one in `grad`; ops on them are recorded. */
  requiresGrad = false
  grad: Tensor | null = null
  /** The op that made this tensor, where it was recorded. */
  node: Node | null = null
  #storage: Storage | null
  #users = 1

  /** Wraps a storage that the caller has retained for it. Use `empty`, `Tensor.from` or `Tensor.zeros`. */
  constructor(device: Device, storage: Storage, shape: Shape, dtype: DType = 'f32') {
    this.device = device
    this.shape = shape
    this.dtype = dtype
    this.size = sizeOf(shape)
    this.#storage = storage
    liveTensors++
    const scope = scopes.at(-1)
    if (scope) scope.tensors.push(this)
    else collected.register(this, storage, this)
  }

  /** A tensor with `data` in it, floats rounded where `dtype` is f16. @throws ShapeError when their lengths differ. */
  static from(
    device: Device,
    data: Float32Array | Uint32Array,
    shape: Shape = [data.length],
    dtype: DType = data instanceof Uint32Array ? 'u32' : 'f32',
  ): Tensor {
    if (data.length !== sizeOf(shape)) throw new ShapeError(`${show(shape)} does not hold ${data.length} elements`)
    const tensor = empty(device, shape, dtype)
    if (data.length) tensor.write(data)
    return tensor
  }

  static zeros(device: Device, shape: Shape, dtype: DType = 'f32'): Tensor {
    const tensor = empty(device, shape, dtype)
    tensor.storage.version++
    device.clear(tensor.storage.buffer)
    return tensor
  }

  /** @throws Error when the tensor has been freed. */
  get storage(): Storage {
    if (!this.#storage) throw new Error(`a tensor ${show(this.shape)} was used after its scope freed it`)
    return this.#storage
  }

  /** The elements, of f32 or f16, once the GPU has made them. Later changes of the tensor do not show. */
  async read(): Promise<Float32Array<ArrayBuffer>> {
    if (this.dtype !== 'f16') this.#expect('f32')
    // Copies are of whole words.
    const bytes = await this.device.read(this.storage.buffer, Math.ceil((this.size * BYTES[this.dtype]) / 4) * 4)
    return this.dtype === 'f16' ? fromHalf(new Uint16Array(bytes, 0, this.size)) : new Float32Array(bytes)
  }

  /** `read` for a tensor of u32. */
  async readU32(): Promise<Uint32Array<ArrayBuffer>> {
    this.#expect('u32')
    return new Uint32Array(await this.device.read(this.storage.buffer, this.size * 4))
  }

  /** The only element of a tensor that has one. */
  async item(): Promise<number> {
    if (this.size !== 1) throw new ShapeError(`item: the tensor has ${this.size} elements ${show(this.shape)}, not one`)
    return this.dtype === 'u32' ? (await this.readU32())[0] : (await this.read())[0]
  }

  /**
   * Overwrites the elements in place, for parameters, buffers and gradients. Promised ones are in place for all that is
   * done with the tensor after this, which then waits for them; nobody else does.
   */
  write(data: Float32Array | Uint32Array | Promise<Float32Array>): void {
    const checked = <T extends Float32Array | Uint32Array>(data: T): T => {
      if (data.length === this.size) return data
      throw new ShapeError(`${show(this.shape)} does not hold ${data.length} elements`)
    }
    const stored = (data: Float32Array | Uint32Array) =>
      this.dtype === 'f16' ? halves(checked(data) as Float32Array) : checked(data)
    this.storage.version++
    this.device.write(this.storage.buffer, data instanceof Promise ? data.then(stored) : stored(data))
  }

  /** Another view of the same elements. Not recorded; `reshape` in engine/ops is. */
  view(shape: Shape): Tensor {
    if (sizeOf(shape) !== this.size) throw new ShapeError(`${show(this.shape)} cannot be viewed as ${show(shape)}`)
    return new Tensor(this.device, this.storage.retain(), shape, this.dtype)
  }

  /** Adds a use: the tensor outlives its scope until `release` is called once more. */
  retain(): this {
    this.#users++
    return this
  }

  /** Gives up one use; the last one frees the buffer. */
  release(): void {
    if (--this.#users > 0 || !this.#storage) return
    collected.unregister(this)
    this.#storage.release()
    this.#storage = null
    liveTensors--
  }

  #expect(dtype: DType): void {
    if (this.dtype !== dtype) throw new Error(`a tensor of ${this.dtype} cannot be read as ${dtype}`)
  }
}

/** A tensor whose elements are undefined until a kernel writes them. */
export function empty(device: Device, shape: Shape, dtype: DType = 'f32'): Tensor {
  const storage = memoryOf(device).take(sizeOf(shape) * BYTES[dtype], `a tensor ${show(shape)}`)
  return new Tensor(device, storage, shape, dtype)
}

/** Numbers as halves, two to a word, the last word filled up. */
function halves(data: Float32Array): Uint32Array<ArrayBuffer> {
  const words = new Uint32Array(Math.ceil(data.length / 2))
  new Uint16Array(words.buffer).set(toHalf(data))
  return words
}

/** Tensors not yet freed, on all devices. */
export const countTensors = (): number => liveTensors

interface Scope {
  tensors: Tensor[]
  nodes: Node[]
}

let liveTensors = 0
const scopes: Scope[] = []
const collected = new FinalizationRegistry<Storage>((storage) => {
  storage.release()
  liveTensors--
})

/**
 * Runs `make` and frees every tensor that it made, except the tensors it returns (itself, in an array or as the values
 * of an object), which pass to the scope outside. The outermost scope also forgets what autograd recorded: wrap a
 * training step in one. Results may be read inside: the promise of `read` outlives the scope.
 */
export function scope<T>(make: () => T): T {
  const inner: Scope = { tensors: [], nodes: [] }
  scopes.push(inner)
  let kept = new Set<unknown>()
  try {
    const result = make()
    kept = new Set(result instanceof Tensor || typeof result !== 'object' ? [result] : Object.values(result ?? {}))
    return result
  } finally {
    scopes.pop()
    const outer = scopes.at(-1)
    for (const tensor of inner.tensors) {
      if (!kept.has(tensor)) tensor.release()
      else if (outer) outer.tensors.push(tensor)
      else collected.register(tensor, tensor.storage, tensor)
    }
    if (outer) outer.nodes.push(...inner.nodes)
    else for (const node of inner.nodes) node.release()
  }
}

/** Runs `make` as if outside any scope: what it makes is the caller's. For what is kept from one step to the next. */
export function unscoped<T>(make: () => T): T {
  const around = scopes.splice(0)
  try {
    return make()
  } finally {
    scopes.push(...around)
  }
}

/** Hands a node to the scope that will let it go. */
export function trackNode(node: Node): void {
  scopes.at(-1)?.nodes.push(node)
}
