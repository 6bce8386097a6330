/**
 * What a buffer holds, once more as a texture: a driver on the CPU reads texels in a fraction of the instructions
 * (kakuritsu_read_texels.wgsl says why), so that a kernel which reads much gains more than the copy costs.
 */
import type { Device } from './device.ts'

/** Texels in a line of a texture: a constant of the shaders that read them. */
const WIDTH = 1024
/** Four floats. */
const TEXEL_BYTES = 16
const LINE_BYTES = WIDTH * TEXEL_BYTES

export class Texels {
  readonly view: GPUTextureView
  /** Of memory. */
  readonly bytes: number
  readonly #device: Device
  readonly #buffer: GPUBuffer
  readonly #texture: GPUTexture
  /** Which contents of the buffer were copied last. */
  #copied = ''

  /** Room for what `buffer`, of a multiple of 16 bytes, holds. */
  constructor(device: Device, buffer: GPUBuffer) {
    this.#device = device
    this.#buffer = buffer
    const height = Math.ceil(buffer.size / LINE_BYTES)
    this.bytes = height * LINE_BYTES
    this.#texture = device.createTexture(WIDTH, height, () => buffer.label)
    this.view = this.#texture.createView()
  }

  /** Whether the textures of a device are large enough for whatever buffer a kernel can have. */
  static fit({ limits }: Device): boolean {
    const { maxTextureDimension2D, maxStorageBufferBindingSize } = limits
    return Math.max(WIDTH, maxStorageBufferBindingSize / LINE_BYTES) <= maxTextureDimension2D
  }

  /** Copies the buffer, in order with the commands given so far, unless it held the same `version` when last copied. */
  update(version: number): void {
    const contents = `${this.#device.drops}.${version}`
    if (contents === this.#copied) return
    this.#copied = contents
    const [buffer, texture] = [this.#buffer, this.#texture]
    const lines = Math.floor(buffer.size / LINE_BYTES)
    const rest = (buffer.size % LINE_BYTES) / TEXEL_BYTES
    const whole = { buffer, bytesPerRow: LINE_BYTES }
    if (lines > 0) this.#device.copyToTexture(whole, { texture }, [WIDTH, lines])
    const last = { buffer, offset: lines * LINE_BYTES }
    if (rest > 0) this.#device.copyToTexture(last, { texture, origin: [0, lines] }, [rest])
  }

  destroy(): void {
    this.#texture.destroy()
  }
}
