/** Optimizers, as torch.optim has them. Nothing waits for the GPU. */
import { adadeltaStep, type LeafReceiver, SGD_SMALL, type SgdUpdate, sgdSteps, Tensor } from '../engine/index.ts'
import { FileTensor, type SavedTensor } from './formats/file_tensor.ts'
import { constant } from './init.ts'
import { loadState, StateError, saveState } from './state.ts'
import { Buffer, type Parameter } from './variable.ts'

/** What an optimizer needs to go on bit for bit. */
export interface OptimizerState {
  /** 'SGD' or 'Adadelta'. */
  name: string
  settings: Record<string, number>
  /** `state.0.momentum_buffer`, …: PyTorch's names; numbered as the parameters were given, in PyTorch's layout. */
  tensors: Map<string, SavedTensor>
}

/** A parameter that is to be moved, and what the optimizer keeps for it. */
interface Moving<K extends string> {
  param: Tensor
  grad: Tensor
  kept: Readonly<Record<K, Buffer>>
}

/**
 * @typeParam S its settings, the learning rate among them
 * @typeParam K the names, PyTorch's, of what it keeps for each parameter
 */
export abstract class Optimizer<S extends { lr: number } = { lr: number }, K extends string = string>
  implements LeafReceiver
{
  abstract readonly name: string
  readonly params: readonly Parameter[]
  protected settings: S
  readonly #state: readonly Record<K, Buffer>[]
  /** Where in `params` a tensor's parameter is. */
  readonly #places: ReadonlyMap<Tensor, number>
  /** The place of a small parameter that waits for another, to be moved with it. */
  #waiting: number | null = null

  /**
   * @param params on a device already, one that modules share counting once; `step` leaves those without a gradient alone
   * @param kept what is kept for each parameter, zeros before the first step
   */
  constructor(params: Iterable<Parameter>, settings: S, kept: readonly K[]) {
    this.params = [...new Set(params)]
    this.settings = settings
    this.#places = new Map(this.params.map(({ tensor }, i) => [tensor, i]))
    this.#state = this.params.map((param) => {
      const entries = kept.map((name) => [name, zerosLike(param)])
      return Object.fromEntries(entries) as Record<K, Buffer>
    })
  }

  /** One step on each of these parameters. */
  protected abstract update(parts: readonly Moving<K>[]): void

  /** A parameter's step where it is one that ops can make; null where it is not. */
  protected updateBy(_param: Tensor, _kept: Readonly<Record<K, Buffer>>): SgdUpdate | null {
    return null
  }

  /** Learning rate; may be changed between steps. */
  get lr(): number {
    return this.settings.lr
  }

  set lr(lr: number) {
    this.settings = { ...this.settings, lr }
  }

  /** Forgets the gradients of its parameters. */
  zeroGrad(): void {
    for (const param of this.params) param.zeroGrad()
    this.#waiting = null
  }

  /** Moves every parameter that has a gradient. */
  step(): void {
    if (this.#waiting !== null) this.#moveAndForget([this.#waiting])
    this.#move([...this.params.keys()])
  }

  /**
   * Moves one parameter and forgets its gradient: for `backward` to call when that is complete. It is in the caches still,
   * and the next gradient can have its memory. A small parameter waits for another, or for `step`. Of tensors that
   * are no parameter of this optimizer it leaves all as it is.
   */
  complete(tensor: Tensor): void {
    const place = this.#places.get(tensor)
    if (place === undefined) return
    const waiting = this.#waiting
    if (tensor.size > SGD_SMALL) this.#moveAndForget([place])
    else if (waiting === null) this.#waiting = place
    else if (waiting !== place) this.#moveAndForget([waiting, place])
  }

  /** For `backward`: the step that an op may make with a parameter as it computes the gradient. */
  updateOf(tensor: Tensor): SgdUpdate | null {
    const place = this.#places.get(tensor)
    return place === undefined ? null : this.updateBy(tensor, this.#state[place])
  }

  #moveAndForget(places: readonly number[]): void {
    this.#move(places)
    for (const place of places) {
      this.params[place].zeroGrad()
      if (place === this.#waiting) this.#waiting = null
    }
  }

  #move(places: readonly number[]): void {
    const parts = places.flatMap((place): Moving<K>[] => {
      const { tensor: param, grad } = this.params[place]
      return grad ? [{ param, grad, kept: this.#state[place] }] : []
    })
    this.update(parts)
  }

  async stateDict(): Promise<OptimizerState> {
    return { name: this.name, settings: { ...this.settings }, tensors: await saveState(this.#named()) }
  }

  /**
   * What the state does not keep for a parameter starts from zeros, as before the first step: PyTorch keeps nothing of
   * those that have made none.
   * @throws StateError when the state is of another optimizer or of other parameters.
   */
  loadStateDict({ name, settings, tensors }: OptimizerState): void {
    if (name !== this.name) throw new StateError(`the state is of ${name}, this optimizer is ${this.name}`)
    const lacking = Object.keys(this.settings).filter((setting) => typeof settings[setting] !== 'number')
    if (lacking.length > 0) throw new StateError(`the state of ${name} lacks ${lacking.join(', ')}`)
    const state = new Map(tensors)
    for (const [entry, { savedShape, size }] of this.#named())
      if (!state.has(entry)) state.set(entry, new FileTensor('F32', savedShape, () => new Uint8Array(4 * size)))
    loadState(this.name, this.#named(), state)
    this.settings = { ...this.settings, ...settings }
  }

  /** Gives the memory of what it keeps back. */
  free(): void {
    for (const [, buffer] of this.#named()) buffer.free()
  }

  *#named(): Generator<[name: string, buffer: Buffer]> {
    for (const [i, kept] of this.#state.entries())
      for (const [name, buffer] of Object.entries<Buffer>(kept)) yield [`state.${i}.${name}`, buffer]
  }
}

const zerosLike = ({ shape, layout, tensor }: Parameter): Buffer =>
  new Buffer(shape, { layout, init: constant(0), tensor: Tensor.zeros(tensor.device, shape) })

export interface SGDOptions {
  lr: number
  momentum?: number
  weightDecay?: number
}

/** torch.optim.SGD, without dampening and Nesterov momentum. */
export class SGD extends Optimizer<Required<SGDOptions>, 'momentum_buffer'> {
  override readonly name = 'SGD'

  constructor(params: Iterable<Parameter>, { lr, momentum = 0, weightDecay = 0 }: SGDOptions) {
    super(params, { lr, momentum, weightDecay }, ['momentum_buffer'])
  }

  protected override update(parts: readonly Moving<'momentum_buffer'>[]): void {
    const velocities = parts.map(({ param, grad, kept }) => ({ param, grad, velocity: kept.momentum_buffer.tensor }))
    sgdSteps(velocities, this.settings)
  }

  protected override updateBy(param: Tensor, kept: Readonly<Record<'momentum_buffer', Buffer>>): SgdUpdate {
    return { param, velocity: kept.momentum_buffer.tensor, ...this.settings }
  }
}

export interface AdadeltaOptions {
  lr?: number
  rho?: number
  eps?: number
  weightDecay?: number
}

/** torch.optim.Adadelta (Zeiler 2012). */
export class Adadelta extends Optimizer<Required<AdadeltaOptions>, 'square_avg' | 'acc_delta'> {
  override readonly name = 'Adadelta'

  constructor(params: Iterable<Parameter>, { lr = 1, rho = 0.9, eps = 1e-6, weightDecay = 0 }: AdadeltaOptions = {}) {
    super(params, { lr, rho, eps, weightDecay }, ['square_avg', 'acc_delta'])
  }

  protected override update(parts: readonly Moving<'square_avg' | 'acc_delta'>[]): void {
    for (const { param, grad, kept } of parts) {
      const averages = { squareAverage: kept.square_avg.tensor, deltaAverage: kept.acc_delta.tensor }
      adadeltaStep(param, grad, averages, this.settings)
    }
  }
}
