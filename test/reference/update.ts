import { map, type Nd } from './nd.ts'

/**
 * One step of torch.optim.SGD (dampening 0, no Nesterov): g ← grad + weightDecay·w, v ← momentum·v + g, w ← w − lr·v.
 * PyTorch's first step sets v to g, which is this with v = 0.
 */
export function sgdStep(
  param: Nd,
  grad: Nd,
  velocity: Nd,
  { lr, momentum, weightDecay }: { lr: number; momentum: number; weightDecay: number },
): { param: Nd; velocity: Nd } {
  const moved = map(velocity, (v, i) => momentum * v + grad.data[i] + weightDecay * param.data[i])
  return { param: map(param, (w, i) => w - lr * moved.data[i]), velocity: moved }
}

export interface AdadeltaState {
  squareAverage: Nd
  deltaAverage: Nd
}

/** One step of torch.optim.Adadelta (Zeiler 2012, algorithm 1, with a learning rate and weight decay). */
export function adadeltaStep(
  param: Nd,
  grad: Nd,
  state: AdadeltaState,
  { lr, rho, eps, weightDecay }: { lr: number; rho: number; eps: number; weightDecay: number },
): AdadeltaState & { param: Nd } {
  const averaged = (average: Nd, of: Nd) => map(average, (value, i) => rho * value + (1 - rho) * of.data[i] ** 2)
  const g = map(grad, (value, i) => value + weightDecay * param.data[i])
  const squareAverage = averaged(state.squareAverage, g)
  const delta = map(g, (value, i) => {
    const ratio = (state.deltaAverage.data[i] + eps) / (squareAverage.data[i] + eps)
    return Math.sqrt(ratio) * value
  })
  return {
    param: map(param, (w, i) => w - lr * delta.data[i]),
    squareAverage,
    deltaAverage: averaged(state.deltaAverage, delta),
  }
}
