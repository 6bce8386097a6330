/** One step of an optimizer on one parameter, in place and unrecorded; the optimizers are in nn/optim. */
import { ElementKernel } from '../elements.ts'
import { ShapeError, show } from '../errors.ts'
import adadeltaSource from '../shaders/adadelta.wgsl'
import sgdSource from '../shaders/sgd.wgsl'
import type { Tensor } from '../tensor.ts'

const sgdKernel = new ElementKernel('sgd', sgdSource)
const adadeltaKernel = new ElementKernel('adadelta', adadeltaSource)

export interface SgdStepOptions {
  lr: number
  momentum: number
  weightDecay: number
}

/**
 * A step of torch.optim.SGD (no dampening, no Nesterov): g = grad + weightDecay·param, velocity ← momentum·velocity + g,
 * param ← param − lr·velocity.
 * @param velocity the state, changed with the parameter; zeros before the first step, which makes that PyTorch's first
 * @throws ShapeError when the shapes differ.
 */
export function sgdStep(param: Tensor, grad: Tensor, velocity: Tensor, options: SgdStepOptions): void {
  sameShape('sgdStep', param, { grad, velocity })
  const { lr, momentum, weightDecay } = options
  const { device, size } = param
  sgdKernel.run(device, size, { lr, momentum, weightDecay }, [param, grad, velocity])
  device.timer?.nameOp('sgd')
}

export interface AdadeltaStepOptions {
  lr: number
  rho: number
  eps: number
  weightDecay: number
}

/** The state of Adadelta, changed with the parameter; zeros before the first step. */
export interface AdadeltaState {
  /** E[g²] */
  squareAverage: Tensor
  /** E[Δ²] */
  deltaAverage: Tensor
}

/**
 * A step of torch.optim.Adadelta (Zeiler 2012, algorithm 1, with a learning rate): g = grad + weightDecay·param,
 * Δ = √(E[Δ²] + eps) / √(E[g²] + eps) · g, param ← param − lr·Δ, the averages decaying by rho.
 * @throws ShapeError when the shapes differ.
 */
export function adadeltaStep(param: Tensor, grad: Tensor, state: AdadeltaState, options: AdadeltaStepOptions): void {
  const { squareAverage, deltaAverage } = state
  sameShape('adadeltaStep', param, { grad, squareAverage, deltaAverage })
  const { lr, rho, eps, weightDecay } = options
  const { device, size } = param
  const bindings = [param, grad, squareAverage, deltaAverage]
  adadeltaKernel.run(device, size, { lr, rho, eps, weightDecay }, bindings)
  device.timer?.nameOp('adadelta')
}

function sameShape(op: string, param: Tensor, others: Readonly<Record<string, Tensor>>): void {
  for (const [name, { shape }] of Object.entries(others))
    if (show(shape) !== show(param.shape))
      throw new ShapeError(`${op}: ${name} is ${show(shape)}, the parameter ${show(param.shape)}`)
}
