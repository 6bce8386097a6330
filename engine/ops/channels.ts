/** What kernels over the channels of NHWC images share: they take four channels at once where they can. */
import { type Constants, Kernel } from '../kernel.ts'
import width1Source from '../shaders/width1.wgsl'
import width4Source from '../shaders/width4.wgsl'

/** Channels side by side, and other items by which a workgroup of these kernels is counted (its y). */
export const LANES = 16
export const ITEMS = 4

/** A kernel written over `Values` (engine/shaders/width4.wgsl), in both widths. */
export class ChannelKernel {
  readonly #one: Kernel
  readonly #four: Kernel

  constructor(name: string, ...sources: string[]) {
    this.#one = new Kernel(name, [width1Source, ...sources])
    this.#four = new Kernel(`${name} by four`, [width4Source, ...sources])
  }

  for(channels: number, constants?: Constants): Kernel {
    const kernel = widthFor(channels) === 4 ? this.#four : this.#one
    return constants ? kernel.with(constants) : kernel
  }
}

/** Steps that `channels` take. */
export const stepsOf = (channels: number): number => channels / widthFor(channels)

const widthFor = (channels: number): 1 | 4 => (channels % 4 === 0 ? 4 : 1)
