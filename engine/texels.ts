/**
 * A matrix of whole quads, once more as a texture: a driver on the CPU reads texels in a fraction of the instructions
 * (kakuritsu_read_texels.wgsl says why), so that a kernel which reads much gains more than the copy costs.
 *
 * A texel has four floats, and a line of the texture as many rows as it takes to fill blocks of 256 bytes, which is what
 * WebGPU copies lines of. Behind each line is a gap, so that rows whose length is a multiple of 4096 bytes do not all
 * compete for one set of a CPU's cache.
 */
import type { Device } from './device.ts'

/** Four floats. */
const TEXEL_BYTES = 16
/** In 256 bytes. */
const BLOCK_TEXELS = 16
/** A cache line of 64 bytes, in texels: with it a line of the texture has an odd number of them. */
const GAP_TEXELS = 4

/** Where the rows of a matrix lie. */
interface Layout {
  /** In a line. */
  readonly rows: number
  /** Of a line, in texels without the gap. */
  readonly width: number
  readonly lines: number
}

function layoutOf(rows: number, columns: number): Layout {
  const quads = columns / 4
  let together = 1
  while ((together * quads) % BLOCK_TEXELS !== 0) together *= 2
  return { rows: together, width: together * quads, lines: Math.ceil(rows / together) }
}

export class Texels {
  readonly view: GPUTextureView
  /** Of memory. */
  readonly bytes: number
  readonly #device: Device
  readonly #buffer: GPUBuffer
  readonly #rows: number
  readonly #layout: Layout
  readonly #texture: GPUTexture
  /** Which contents of the buffer were copied last. */
  #copied = ''

  /** Room for a matrix, not empty, that lies in `buffer`; `fit` says whether the device has it. @param columns by fours */
  constructor(device: Device, buffer: GPUBuffer, rows: number, columns: number) {
    this.#device = device
    this.#buffer = buffer
    this.#rows = rows
    this.#layout = layoutOf(rows, columns)
    const { width, lines } = this.#layout
    this.bytes = (width + GAP_TEXELS) * lines * TEXEL_BYTES
    this.#texture = device.createTexture(width + GAP_TEXELS, lines, () => buffer.label)
    this.view = this.#texture.createView()
  }

  /** Whether the textures of a device are large enough for a matrix. */
  static fit({ limits }: Device, rows: number, columns: number): boolean {
    const { width, lines } = layoutOf(rows, columns)
    return Math.max(width + GAP_TEXELS, lines) <= limits.maxTextureDimension2D
  }

  /** Copies the matrix, in order with the commands given so far, unless it held the same `version` when last copied. */
  update(version: number): void {
    const contents = `${this.#device.drops}.${version}`
    if (contents === this.#copied) return
    this.#copied = contents
    const { rows, width } = this.#layout
    const whole = Math.floor(this.#rows / rows)
    const rest = ((this.#rows % rows) * width) / rows
    const [buffer, texture, bytesPerRow] = [this.#buffer, this.#texture, width * TEXEL_BYTES]
    if (whole > 0) this.#device.copyToTexture({ buffer, bytesPerRow }, { texture }, [width, whole])
    const last = { buffer, offset: whole * bytesPerRow }
    if (rest > 0) this.#device.copyToTexture(last, { texture, origin: [0, whole] }, [rest])
  }

  destroy(): void {
    this.#texture.destroy()
  }
}
