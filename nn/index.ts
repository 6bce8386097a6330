/** Networks: modules, torchvision's ResNets, the experiment's heads, optimizers. It imports nothing of Node's. */
export { AnomalyWatch } from './anomaly.ts'
export {
  type Checkpoint,
  CheckpointError,
  type CheckpointInfo,
  decodeCheckpoint,
  encodeCheckpoint,
  isCheckpoint,
  readCheckpoint,
  writeCheckpoint,
} from './checkpoint.ts'
export { ConvNorm, convNorm } from './conv_norm.ts'
export type { Dtype, TensorData } from './formats/dtypes.ts'
export { FormatError } from './formats/errors.ts'
export { FileTensor, type SavedTensor } from './formats/file_tensor.ts'
export { openSafetensors, readSafetensors, type Safetensors, writeSafetensors } from './formats/safetensors.ts'
export type { ByteSource } from './formats/source.ts'
export { Generator, type Position } from './generator.ts'
export { type Arch, archs, Head, type HeadNoise, type HeadOptions, head, noiseOf } from './heads.ts'
export { byFanIn, constant, type Init, kaimingNormal, normal, uniform } from './init.ts'
export {
  AdaptiveAvgPool2d,
  type AfterNorm,
  BatchNorm2d,
  Conv2d,
  type Conv2dOptions,
  Dropout,
  Flatten,
  KakuritsuLinear,
  type KakuritsuLinearOptions,
  Linear,
  type LinearOptions,
  MaxPool2d,
  ReLU,
  Sequential,
} from './layers.ts'
export { Module, pipe, type ToOptions } from './module.ts'
export { Adadelta, type AdadeltaOptions, Optimizer, type OptimizerState, SGD, type SGDOptions } from './optim.ts'
export { rehearseModel } from './rehearse.ts'
export {
  type BlockName,
  loadWeights,
  ResNet,
  type ResNetArchitecture,
  type ResNetName,
  type ResNetOptions,
  recognizeResNet,
  resnet,
  resnet18,
  resnet34,
  resnet50,
  resnet101,
  resnet152,
  resnetNames,
  resnext50_32x4d,
  resnext101_32x8d,
  wide_resnet50_2,
  wide_resnet101_2,
} from './resnet.ts'
export { type SchedulerState, StepLR } from './schedule.ts'
export { type LoadOptions, type LoadResult, StateError } from './state.ts'
export { fire, type SynapseOptions } from './synapses.ts'
export { Buffer, Counter, type Layout, Parameter, type Stored, Variable, type VariableOptions } from './variable.ts'
