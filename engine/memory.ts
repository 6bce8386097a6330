/**
 * Buffers on the GPU and the pool they come from and go back to. A training step asks for the same sizes again and
 * again, so after the first step the pool serves it without making a buffer.
 */
import type { Device } from './device.ts'
import { OutOfMemoryError } from './errors.ts'
import { Texels } from './texels.ts'

/** The pool gives unused buffers back to the driver when it holds more than this and more than is in use. */
const POOL_FLOOR_BYTES = 64 * 2 ** 20

/** A GPU buffer with a count of its users; at zero it returns to the pool. */
export class Storage {
  /** Unique on its device. */
  readonly id: number
  readonly buffer: GPUBuffer
  readonly bytes: number
  /** Goes up with each write: what was computed from the contents holds as long as this stays. */
  version = 0
  /** The first kernel that it was given to. */
  kernel: string | null = null
  #memory: Memory
  #users = 0
  /** By rows and columns. */
  readonly #texels = new Map<string, Texels>()

  constructor(memory: Memory, id: number, buffer: GPUBuffer, bytes: number) {
    this.#memory = memory
    this.id = id
    this.buffer = buffer
    this.bytes = bytes
  }

  /** Of memory, the texels among them once they were asked for. */
  get heldBytes(): number {
    let bytes = this.bytes
    for (const texels of this.#texels.values()) bytes += texels.bytes
    return bytes
  }

  /** Room for its contents, a matrix, as a texture; made when it is first asked for, and kept. */
  texels(rows: number, columns: number): Texels {
    const key = `${rows} ${columns}`
    let texels = this.#texels.get(key)
    if (!texels) {
      this.#texels.set(key, (texels = new Texels(this.#memory.device, this.buffer, rows, columns)))
      this.#memory.noteLive(texels.bytes)
    }
    return texels
  }

  destroy(): void {
    this.buffer.destroy()
    for (const texels of this.#texels.values()) texels.destroy()
  }

  retain(): this {
    this.#users++
    return this
  }

  release(): void {
    if (--this.#users === 0) this.#memory.giveBack(this)
  }
}

export class Memory {
  /** Bytes in use, and the most that ever were. */
  liveBytes = 0
  peakBytes = 0
  /** Bytes waiting in the pool. */
  pooledBytes = 0
  /** Buffers ever made; flat once a loop is warm. */
  buffersMade = 0
  /** Called after buffers were destroyed, for whoever caches what refers to them. */
  readonly onTrim: (() => void)[] = []
  /** Called with each buffer before it is handed out, for a test that fills it with what nobody may read. */
  onTake: ((storage: Storage) => void) | null = null

  readonly device: Device
  /** By size, the oldest last. */
  #pool = new Map<number, Storage[]>()

  constructor(device: Device) {
    this.device = device
  }

  /**
   * A buffer of at least `bytes`, its contents undefined. Its size is a multiple of 16 bytes, so that kernels may load and
   * store the last few elements as a whole vec4.
   * @throws OutOfMemoryError when no adapter binding can hold it; `label` names the tensor.
   */
  take(bytes: number, label: string): Storage {
    const { maxStorageBufferBindingSize, maxBufferSize } = this.device.limits
    const limit = Math.floor(Math.min(maxStorageBufferBindingSize, maxBufferSize) / 16) * 16
    if (bytes > limit)
      throw new OutOfMemoryError(
        `${label}, ${bytes} bytes`,
        `this adapter binds at most ${limit} bytes at once, too few`,
      )
    const size = Math.min(sizeClass(bytes), limit)
    let storage = this.#pool.get(size)?.pop()
    if (storage) this.pooledBytes -= storage.heldBytes
    else storage = this.#make(size, label)
    storage.buffer.label = label // for the driver's messages
    this.noteLive(storage.heldBytes)
    this.onTake?.(storage)
    return storage.retain()
  }

  /**
   * Called by a storage that nobody uses any more. Of a size the oldest is taken first, in whatever order they came back:
   * so a step that begins with the same buffers free as the one before gets the same buffers, and finds its bind groups.
   */
  giveBack(storage: Storage): void {
    const free = this.#pool.get(storage.bytes)
    if (!free) this.#pool.set(storage.bytes, [storage])
    else {
      let at = free.length
      while (at > 0 && free[at - 1].id < storage.id) at--
      free.splice(at, 0, storage)
    }
    this.liveBytes -= storage.heldBytes
    this.pooledBytes += storage.heldBytes
  }

  /** Called when so many bytes more are in use. */
  noteLive(bytes: number): void {
    this.liveBytes += bytes
    this.peakBytes = Math.max(this.peakBytes, this.liveBytes)
  }

  /** Gives all pooled buffers back to the driver. */
  trim(): void {
    this.device.flush()
    const unused = [...this.#pool.values()].flat()
    this.device.inTurn(() => {
      for (const storage of unused) storage.destroy()
    })
    this.#pool.clear()
    this.pooledBytes = 0
    for (const forget of this.onTrim) forget()
  }

  #make(size: number, label: string): Storage {
    if (this.pooledBytes > Math.max(POOL_FLOOR_BYTES, this.liveBytes)) this.trim()
    const buffer = this.device.createBuffer(size, () => label + (storage.kernel ? ` of kernel ${storage.kernel}` : ''))
    const storage = new Storage(this, ++this.buffersMade, buffer, size)
    return storage
  }
}

const memories = new WeakMap<Device, Memory>()

/** The memory of a device. */
export function memoryOf(device: Device): Memory {
  let memory = memories.get(device)
  if (!memory) memories.set(device, (memory = new Memory(device)))
  return memory
}

/** Rounds up to one of eight sizes per power of two, so that at most an eighth is wasted and near sizes share buffers. */
function sizeClass(bytes: number): number {
  if (bytes <= 256) return 256
  const step = 2 ** (Math.floor(Math.log2(bytes)) - 3)
  return Math.ceil(bytes / step) * step
}
