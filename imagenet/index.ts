/** The experiment: images in, accuracy out. For Node. */

export { runCommand } from './command.ts'
export { openDataset } from './data/dataset.ts'
export { CachedFeatures, type CacheOptions, type FrozenBase, weightsDigest } from './data/features/index.ts'
export { type Batch, Loader, type LoaderOptions } from './data/loader.ts'
export { Sampler, type SamplerOptions } from './data/sampler.ts'
export type { Samples } from './data/samples.ts'
export { FeatureSet, imageSamples } from './data/samples.ts'
export { openDummy } from './data/sources/dummy.ts'
export { openFolder } from './data/sources/folder.ts'
export { openMnist } from './data/sources/mnist.ts'
export type { Dataset, Source } from './data/sources/source.ts'
export { DecodeError, UsageError } from './errors.ts'
export * from './experiment/index.ts'
export { type CellPanel, type CellsOptions, cellsSvg } from './figures/cells.ts'
export { cellOf, chooseCells, type LayerWeights, labelsOf, readLayer } from './figures/layer_weights.ts'
export { type PngOptions, svgToPng } from './figures/png.ts'
export { writeFileAtomic } from './files.ts'
export {
  type AdapterDescription,
  adapterLine,
  describeAdapter,
  type GpuOptions,
  listAdapters,
  openAdapter,
  openDevice,
} from './gpu/open.ts'
export { PRECISIONS, type Precision, setPrecision } from './gpu/precision.ts'
export { chooseDecoder, DECODERS, type DecoderName, decoderLine } from './images/decoder.ts'
export { experimentDistributed } from './parallel/experiment.ts'
export { DISTRIBUTED_DEFAULTS, type DistributedOptions, distributedOptions, remarks } from './parallel/options.ts'
export { trainDistributed } from './parallel/train.ts'
export type { Answer, Prediction } from './predict/answer.ts'
export { IMAGENET_CLASSES } from './predict/class_names.ts'
export { type Classifier, type ClassifierOptions, openClassifier } from './predict/classifier.ts'
export { listImages } from './predict/images.ts'
export { type Outcome, type PredictOptions, predict } from './predict/predict.ts'
export {
  checkpointName,
  loadBase,
  loadBaseFrom,
  type RunCheckpoint,
  type RunState,
  readRunCheckpoint,
  saveWeights,
} from './run/checkpoint.ts'
export { evaluateStep, pipelined, trainStep } from './run/loop.ts'
export { type Averages, addBatch, averages, type BatchResult, noTotals, type Totals } from './run/metrics.ts'
export { ExperimentNet } from './run/model.ts'
export {
  DEFAULTS,
  MOST,
  parseCount,
  parseHeadNoise,
  parseProbability,
  parseRate,
  requestOf,
  type TrainOptions,
  type TrainRequest,
} from './run/options.ts'
export { PROFILING_TOGGLES_OFF, perfettoTrace, profileTable, StepProfile } from './run/profile.ts'
export { type Progress, startProgress } from './run/progress.ts'
export { train } from './run/train.ts'
export { type Converted, type ConvertOptions, convert, listing, printable } from './weights/convert.ts'
export { openWeights, type WeightsFile } from './weights/formats/weights.ts'
export { publishedWeights, weightsFolder } from './weights/pretrained.ts'
