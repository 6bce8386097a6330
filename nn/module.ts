/** What a network is made of: layers with parameters and buffers, in a tree. */
import { type Device, scope, type Tensor } from '../engine/index.ts'
import { nameStream } from '../engine/random.ts'
import type { SavedTensor } from './formats/file_tensor.ts'
import { snakeCase } from './names.ts'
import { type LoadOptions, type LoadResult, loadState, saveState } from './state.ts'
import { Buffer, Counter, Parameter, type Stored } from './variable.ts'

export interface ToOptions {
  /** Decides, with each parameter's name, what it starts from; 0 unless given. A whole number in [0, 2^53). */
  seed?: number
}

type Observer = (module: Module, output: Tensor) => Tensor

let observer: Observer | null = null

/** Runs `act`; what each module called in it makes goes through `observe`, whose result it gives in its stead. */
export function observing<T>(observe: Observer, act: () => T): T {
  const before = observer
  observer = observe
  try {
    return act()
  } finally {
    observer = before
  }
}

/**
 * A layer or a network. Fields that hold a `Parameter`, a `Buffer`, a `Counter` or another `Module` are its state, in
 * the order of their declaration; their names in PyTorch's way (`runningMean` is `running_mean`), with those of the
 * modules around them, are the names of the state: `layer3.12.bn2.running_mean`.
 */
export abstract class Module {
  /** Whether it behaves as in training (BatchNorm, Dropout). Set by `train` and `eval`. */
  training = true

  abstract forward(x: Tensor): Tensor

  /**
   * `forward` in a scope: what it makes and does not return is freed, except what autograd keeps. Call modules with
   * this one; around a training step, an outer `scope` keeps what was recorded until `backward` has run.
   */
  call(x: Tensor): Tensor {
    return scope(() => {
      const output = this.forward(x)
      return observer ? observer(this, output) : output
    })
  }

  /** The modules directly in this one, by name. */
  children(): [name: string, module: Module][] {
    return ownFields(this, (value) => value instanceof Module)
  }

  /** This module and all modules in it. */
  *modules(): Generator<Module> {
    yield this
    for (const [, child] of this.children()) yield* child.modules()
  }

  /** All parameters, by name, in PyTorch's order: a module's own before those of its children. */
  *namedParameters(prefix = ''): Generator<[name: string, parameter: Parameter]> {
    for (const [name, stored] of this.namedState(prefix)) if (stored instanceof Parameter) yield [name, stored]
  }

  /** All buffers and counters, by name. */
  *namedBuffers(prefix = ''): Generator<[name: string, buffer: Buffer | Counter]> {
    for (const [name, stored] of this.namedState(prefix))
      if (stored instanceof Buffer || stored instanceof Counter) yield [name, stored]
  }

  /** All that `stateDict` holds, by name, in its order. */
  *namedState(prefix = ''): Generator<[name: string, stored: Stored]> {
    for (const [name, stored] of ownFields(this, (value) => value instanceof Parameter)) yield [prefix + name, stored]
    for (const [name, stored] of ownFields(this, (value) => value instanceof Buffer || value instanceof Counter))
      yield [prefix + name, stored]
    for (const [name, child] of this.children()) yield* child.namedState(`${prefix}${name}.`)
  }

  parameters(): Parameter[] {
    return [...this.namedParameters()].map(([, parameter]) => parameter)
  }

  /** How many numbers its parameters hold. */
  get parameterCount(): number {
    return this.parameters().reduce((sum, { size }) => sum + size, 0)
  }

  /**
   * Puts all parameters and buffers on a device. Those that no state was loaded into start anew: a function of the seed
   * and the name alone, the same on every adapter. What is on the device already stays as it is. Call it outside any
   * scope, which would free them at its end.
   */
  to(device: Device, { seed = 0 }: ToOptions = {}): this {
    for (const [name, stored] of this.namedState()) stored.place(device, nameStream(seed, name))
    return this
  }

  /**
   * Brings the weights of its convolutions to half precision when they are put on a device, and with them all activations
   * from its first convolution to its average pooling; sums, BatchNorm and linear layers stay in f32. Freezes it: there
   * are no gradients in half precision.
   * @throws Error when it is on a device already
   */
  half(): this {
    for (const parameter of this.parameters()) {
      if (parameter.placed) throw new Error('half: a model chooses its precision before it is put on a device')
      if (parameter.layout === 'conv') parameter.dtype = 'f16'
    }
    return this.requiresGrad(false)
  }

  train(mode = true): this {
    for (const module of this.modules()) module.training = mode
    return this
  }

  eval(): this {
    return this.train(false)
  }

  /** Freezes (false) or thaws all parameters. BatchNorm in train mode moves its running statistics all the same. */
  requiresGrad(mode: boolean): this {
    for (const parameter of this.parameters()) parameter.requiresGrad = mode
    return this
  }

  /** All parameters and buffers under PyTorch's names, in its shapes and layout. */
  stateDict(): Promise<Map<string, SavedTensor>> {
    return saveState(this.namedState())
  }

  /**
   * Takes what `stateDict` (or PyTorch) gave. Nothing changes unless all of it fits.
   * @throws StateError when entries are missing or unexpected (unless `strict` is false), or of another shape or dtype.
   */
  loadStateDict(state: ReadonlyMap<string, SavedTensor>, options?: LoadOptions): LoadResult {
    return loadState(this.constructor.name, this.namedState(), state, options)
  }

  /** Gives the memory of all parameters and buffers back. */
  free(): void {
    for (const module of this.modules()) module.forget()
    for (const [, stored] of this.namedState()) stored.free()
  }

  /** Gives back what it keeps of results computed from its state. */
  protected forget(): void {}
}

/**
 * Applies modules or functions, the first one first. Each result is freed as soon as the next is made, unless autograd
 * keeps it: so much less is alive at a time than if all belonged to one scope.
 */
export function pipe(x: Tensor, ...steps: readonly (Module | ((x: Tensor) => Tensor))[]): Tensor {
  const last = steps.at(-1)
  if (!last) return x
  return scope(() => {
    const input = pipe(x, ...steps.slice(0, -1))
    return last instanceof Module ? last.call(input) : last(input)
  })
}

/** A module's fields of a kind, their names in snake_case. */
function ownFields<T>(module: Module, is: (value: unknown) => value is T): [name: string, value: T][] {
  const fields: [string, T][] = []
  for (const [name, value] of Object.entries(module)) if (is(value)) fields.push([snakeCase(name), value])
  return fields
}
