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

/** One step of torch.optim.Adadelta (Zeiler, 2012, algorithm 1, with a learning rate and weight decay). */
export function adadeltaStep(
  param: Nd,
  grad: Nd,
  squareAverage: Nd,
  accumulatedDelta: Nd,
  { lr, rho, eps, weightDecay }: { lr: number; rho: number; eps: number; weightDecay: number },
): { param: Nd; squareAverage: Nd; accumulatedDelta: Nd } {
  const g = map(grad, (value, i) => value + weightDecay * param.data[i])
  const average = map(squareAverage, (value, i) => rho * value + (1 - rho) * g.data[i] ** 2)
  const delta = map(
    g,
    (value, i) => (Math.sqrt(accumulatedDelta.data[i] + eps) / Math.sqrt(average.data[i] + eps)) * value,
  )
  return {
    param: map(param, (w, i) => w - lr * delta.data[i]),
    squareAverage: average,
    accumulatedDelta: map(accumulatedDelta, (value, i) => rho * value + (1 - rho) * delta.data[i] ** 2),
  }
}
