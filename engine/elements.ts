/** Kernels whose output's elements each depend on the same elements of their inputs, wherever those lie. */
import type { Device } from './device.ts'
import { type Binding, Kernel, spread } from './kernel.ts'

/**
 * LANES of the shaders, and STEPS: times that a thread takes four elements. On a CPU (lavapipe) the start of 8 threads,
 * one vector, was measured to cost as much as 3 or 4 of their steps; a GPU wants many threads.
 */
const LANES = 64
const STEPS = { gpu: 8, software: 32 }

export class ElementKernel {
  readonly #gpu: Kernel
  readonly #software: Kernel

  constructor(name: string, source: string) {
    this.#gpu = new Kernel(name, source, { LANES, STEPS: STEPS.gpu })
    this.#software = new Kernel(name, source, { LANES, STEPS: STEPS.software })
  }

  /**
   * Encodes one dispatch over `size` elements.
   * @param params the kernel's parameters, `size` apart
   */
  run(device: Device, size: number, params: Readonly<Record<string, number>>, bindings: readonly Binding[]): void {
    const kernel = device.software ? this.#software : this.#gpu
    const steps = device.software ? STEPS.software : STEPS.gpu
    kernel.run(device, { size, ...params }, bindings, spread(device, size, LANES * steps * 4))
  }
}
