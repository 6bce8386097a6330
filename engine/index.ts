/** The engine: tensors on a GPU, ops on them, and their gradients. It imports nothing of Node's. */
export { backward, type LeafReceiver, noGrad, wantsGrad } from './autograd.ts'
export { Device } from './device.ts'
export { DeviceLostError, GpuError, OutOfMemoryError, ShapeError } from './errors.ts'
export { rehearse } from './kernel.ts'
export { memoryOf } from './memory.ts'
export { type BatchNorm2dOptions, batchNorm2d } from './ops/batchnorm.ts'
export { foldBatchNorm } from './ops/batchnorm_fold.ts'
export { type BatchSync, syncBatchNorm2d } from './ops/batchnorm_sync.ts'
export { conv2d } from './ops/conv2d.ts'
export type { Conv2dOptions } from './ops/conv2d_layout.ts'
export { type DropConnectOptions, dropConnectLinear } from './ops/dropconnect.ts'
export { type DropoutOptions, dropout } from './ops/dropout.ts'
export { add, addRelu, relu, scale } from './ops/elementwise.ts'
export { lookAtGradient, newFirst, noteNonFinite, readFirst } from './ops/finite.ts'
export { half, hasHalf } from './ops/half.ts'
export { type NormalizeImagesOptions, normalizeImages } from './ops/image.ts'
export { type KakuritsuOptions, kakuritsuLinear, type MaskGradient } from './ops/kakuritsu.ts'
export { crossEntropy, logSoftmax, nllLoss, topkCorrect } from './ops/loss.ts'
export { linear, type MatmulOptions, matmul } from './ops/matmul.ts'
export { clipGradNorm, totalNorm } from './ops/norm.ts'
export { adaptiveAvgPool2d, type MaxPool2dOptions, maxPool2d } from './ops/pool.ts'
export { type ResampleOptions, resampleImages, WORDS_AN_IMAGE } from './ops/resample.ts'
export { flatten, reshape } from './ops/reshape.ts'
export {
  type AdadeltaState,
  type AdadeltaStepOptions,
  adadeltaStep,
  SGD_SMALL,
  type SgdPart,
  sgdStep,
  sgdSteps,
} from './ops/update.ts'
export { Profiler, type Span } from './profile.ts'
export { imageStream, type Key, nameStream, type Stream, shuffled } from './random.ts'
export {
  countTensors,
  type DType,
  empty,
  type SgdStepOptions,
  type SgdUpdate,
  type Shape,
  scope,
  Tensor,
  unscoped,
} from './tensor.ts'
export { type Choices, Tuner, type TunerOptions } from './tune.ts'
