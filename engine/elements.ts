/** Kernels whose output's elements each depend on the same elements of their inputs, wherever those lie. */
import type { Device } from './device.ts'
import { type Binding, Kernel, spread } from './kernel.ts'
import { empty, scope } from './tensor.ts'
import { bucket, choose } from './tune.ts'

/** LANES of the shaders. */
const LANES = 64

/**
 * STEPS: times that a thread takes four elements. On a CPU (lavapipe) the start of 8 threads, one vector, was measured to
 * cost as much as 3 or 4 of their steps; a GPU wants many threads.
 */
const STEPS = { short: 8, long: 32 }
type Walk = keyof typeof STEPS
const WALKS = Object.keys(STEPS) as Walk[]

export class ElementKernel {
  readonly #name: string
  readonly #walks: Record<Walk, Kernel>

  constructor(name: string, source: string | readonly string[]) {
    this.#name = name
    const [short, long] = WALKS.map((walk) => new Kernel(name, source, { LANES, STEPS: STEPS[walk] }))
    this.#walks = { short, long }
  }

  /**
   * Encodes one dispatch over `size` elements.
   * @param params the kernel's parameters, `size` apart
   */
  run(device: Device, size: number, params: Readonly<Record<string, number>>, bindings: readonly Binding[]): void {
    const encode = (walk: Walk, operands: readonly Binding[]) =>
      this.#walks[walk].run(device, { size, ...params }, operands, spread(device, size, LANES * STEPS[walk] * 4))
    const shapes = bindings.map(({ shape }) => shape)
    const walk = choose(device, {
      key: `${this.#name} ${bucket(size)}`,
      variants: WALKS,
      standard: device.software ? 'long' : 'short',
      exact: true,
      trial: (walk) =>
        scope(() =>
          encode(
            walk,
            shapes.map((shape) => empty(device, shape)),
          ),
        ),
    })
    encode(walk, bindings)
  }
}
