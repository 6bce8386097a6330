/** Networks: modules, torchvision's ResNets, the experiment's heads, optimizers. It imports nothing of Node's. */
export {
  readSafetensors,
  type Safetensors,
  type SafetensorsTensor,
  writeSafetensors,
} from './formats/safetensors.ts'
export { Generator, type Position } from './generator.ts'
export { byFanIn, constant, type Init, kaimingNormal, normal, uniform } from './init.ts'
export { Module, pipe, type ToOptions } from './module.ts'
export { Adadelta, type AdadeltaOptions, Optimizer, type OptimizerState, SGD, type SGDOptions } from './optim.ts'
export { type SchedulerState, StepLR } from './schedule.ts'
export { type LoadOptions, type LoadResult, StateError } from './state.ts'
export { Buffer, Counter, type Layout, Parameter, type Stored, Variable } from './variable.ts'
