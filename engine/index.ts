/** The engine: tensors on a GPU, ops on them, and their gradients. It imports nothing of Node's. */
export { backward, noGrad } from './autograd.ts'
export { Device } from './device.ts'
export { GpuError, ShapeError } from './errors.ts'
export { memoryOf } from './memory.ts'
export { add, addRelu, relu } from './ops/elementwise.ts'
export { countTensors, type DType, empty, type Shape, scope, Tensor } from './tensor.ts'
