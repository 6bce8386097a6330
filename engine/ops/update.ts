/** Steps of optimizers on parameters, in place and unrecorded; the optimizers are in nn/optim. */
import { ElementKernel } from '../elements.ts'
import { ShapeError, show } from '../errors.ts'
import { Kernel } from '../kernel.ts'
import adadeltaSource from '../shaders/adadelta.wgsl'
import sgdSource from '../shaders/sgd.wgsl'
import sgdPairSource from '../shaders/sgd_pair.wgsl'
import sgdStepSource from '../shaders/sgd_step.wgsl'
import type { SgdStepOptions, Tensor } from '../tensor.ts'

const sgdKernel = new ElementKernel('sgd', [sgdStepSource, sgdSource])
const sgdPairKernel = new Kernel('sgd_pair', [sgdStepSource, sgdPairSource])
const adadeltaKernel = new ElementKernel('adadelta', adadeltaSource)

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

/** A parameter that is to be moved. */
export interface SgdPart {
  param: Tensor
  grad: Tensor
  velocity: Tensor
}

/** Elements up to which a parameter is left to one workgroup of sgd_pair.wgsl: 8 times four for each of 64 threads. */
export const SGD_SMALL = 2048

/**
 * `sgdStep` on several parameters, to the same bits. Small ones go in pairs, as many as every adapter binds buffers for:
 * on lavapipe a dispatch was measured to cost 90 µs and more, however little it does, and those of its BatchNorms'
 * parameters were a fifth of all in a training step of ResNet-152.
 */
export function sgdSteps(parts: readonly SgdPart[], options: SgdStepOptions): void {
  const small = parts.filter(({ param }) => param.size <= SGD_SMALL)
  const single = parts.filter(({ param }) => param.size > SGD_SMALL)
  if (small.length % 2 === 1) single.push(small.pop()!)
  for (let i = 0; i < small.length; i += 2) sgdPair(small[i], small[i + 1], options)
  for (const { param, grad, velocity } of single) sgdStep(param, grad, velocity, options)
}

function sgdPair(one: SgdPart, other: SgdPart, { lr, momentum, weightDecay }: SgdStepOptions): void {
  const pair = [one, other]
  for (const { param, grad, velocity } of pair) sameShape('sgdSteps', param, { grad, velocity })
  const { device } = one.param
  const params = { size0: one.param.size, size1: other.param.size, lr, momentum, weightDecay }
  const bindings = pair.flatMap(({ param, grad, velocity }) => [param, grad, velocity])
  sgdPairKernel.run(device, params, bindings, [pair.length])
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
