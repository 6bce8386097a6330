/** Finds where numbers cease to be finite, as torch.autograd.set_detect_anomaly, and for outputs too. */
import { type Device, lookAtGradient, newFirst, noteNonFinite, readFirst, type Tensor } from '../engine/index.ts'
import { type Module, observing } from './module.ts'

/**
 * One training step that is looked at: every module's output, then the gradient of each in the order in which they are
 * made, then of each parameter. Each look is a pass over the tensor; nobody waits for the GPU.
 */
export class AnomalyWatch {
  readonly #modules: ReadonlyMap<Module, string>
  /** What was looked at, in order. */
  readonly #places: string[] = []
  readonly #first: Tensor
  readonly #model: Module

  constructor(device: Device, model: Module) {
    this.#modules = new Map(namedModules(model, ''))
    this.#first = newFirst(device)
    this.#model = model
  }

  /** Runs a forward pass and looks at what each module makes. */
  forward<T>(pass: () => T): T {
    return observing((module, output) => {
      const name = this.#modules.get(module) ?? module.constructor.name
      this.look(`the output of ${name}`, output)
      return lookAtGradient(output, (dy) => this.look(`the gradient of ${name}'s output`, dy))
    }, pass)
  }

  /** To be called when all of backward is done. */
  parameters(): void {
    for (const [name, { grad }] of this.#model.namedParameters()) if (grad) this.look(`the gradient of ${name}`, grad)
  }

  look(what: string, x: Tensor): void {
    if (x.dtype === 'u32') return
    noteNonFinite(x, this.#first, this.#places.length)
    this.#places.push(what)
  }

  /** Ends it. What was the first that is not finite; null if all was. */
  async end(): Promise<string | null> {
    const found = readFirst(this.#first)
    this.#first.release()
    const place = await found
    return place === null ? null : this.#places[place]
  }
}

function* namedModules(module: Module, name: string): Generator<[Module, string]> {
  yield [module, name || 'the network']
  for (const [child, value] of module.children()) yield* namedModules(value, name ? `${name}.${child}` : child)
}
