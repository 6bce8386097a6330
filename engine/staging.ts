/** Buffers by which data goes between CPU and GPU, kept for the next use: fresh memory costs many times what a copy does. */

/** Unused ones may hold so many bytes; beyond that the one that has waited longest is given back to the driver. */
const MOST_BYTES = 256 * 2 ** 20

export class StagingPool {
  readonly #gpu: GPUDevice
  readonly #direction: 'read' | 'write'
  readonly #free: GPUBuffer[] = []
  #bytes = 0

  constructor(gpu: GPUDevice, direction: 'read' | 'write') {
    this.#gpu = gpu
    this.#direction = direction
  }

  /** A buffer of `size` bytes, a multiple of 4; mapped, where it is to be written to. */
  take(size: number): GPUBuffer {
    const at = this.#free.findIndex((buffer) => buffer.size === size)
    if (at >= 0) {
      this.#bytes -= size
      return this.#free.splice(at, 1)[0]
    }
    const { MAP_READ, MAP_WRITE, COPY_SRC, COPY_DST } = GPUBufferUsage
    const isRead = this.#direction === 'read'
    const usage = isRead ? MAP_READ | COPY_DST : MAP_WRITE | COPY_SRC
    return this.#gpu.createBuffer({ label: `staging to ${this.#direction}`, size, usage, mappedAtCreation: !isRead })
  }

  /** @param buffer in the state in which `take` gives it */
  give(buffer: GPUBuffer): void {
    this.#free.push(buffer)
    this.#bytes += buffer.size
    while (this.#bytes > MOST_BYTES) {
      const oldest = this.#free.shift()!
      this.#bytes -= oldest.size
      oldest.destroy()
    }
  }
}
