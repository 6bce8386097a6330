/** How the learning rate goes on. */
import type { Optimizer } from './optim.ts'

export interface SchedulerState {
  stepSize: number
  gamma: number
  /** Calls of `step` so far. */
  lastEpoch: number
}

/** torch.optim.lr_scheduler.StepLR: every `stepSize` epochs the learning rate is multiplied by `gamma`. */
export class StepLR {
  readonly #optimizer: Optimizer
  #state: SchedulerState

  constructor(optimizer: Optimizer, stepSize: number, gamma = 0.1) {
    if (!Number.isInteger(stepSize) || stepSize < 1)
      throw new RangeError(`StepLR: stepSize is a whole number of epochs from 1 on, given ${stepSize}`)
    this.#optimizer = optimizer
    this.#state = { stepSize, gamma, lastEpoch: 0 }
  }

  /** Call it at the end of an epoch. */
  step(): void {
    this.#state.lastEpoch++
    if (this.#state.lastEpoch % this.#state.stepSize === 0) this.#optimizer.lr *= this.#state.gamma
  }

  stateDict(): SchedulerState {
    return { ...this.#state }
  }

  /** The learning rate itself comes back with the optimizer's state. */
  loadStateDict(state: SchedulerState): void {
    this.#state = { ...state }
  }
}
