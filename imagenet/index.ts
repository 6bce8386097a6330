/** The experiment: images in, accuracy out. For Node. */
export {
  checkpointName,
  loadBase,
  loadBaseFrom,
  type RunCheckpoint,
  type RunState,
  readRunCheckpoint,
  saveWeights,
} from './checkpoint.ts'
export { runCommand } from './command.ts'
export { type Converted, type ConvertOptions, convert, listing, printable } from './convert.ts'
export { openDataset } from './dataset.ts'
export { chooseDecoder, DECODERS, type DecoderName, decoderLine } from './decoder.ts'
export { DecodeError, UsageError } from './errors.ts'
export * from './experiment/index.ts'
export { CachedFeatures, type CacheOptions, type FrozenBase, weightsDigest } from './features/index.ts'
export { type CellPanel, type CellsOptions, cellsSvg } from './figures/cells.ts'
export { cellOf, chooseCells, type LayerWeights, labelsOf, readLayer } from './figures/layer_weights.ts'
export { type PngOptions, svgToPng } from './figures/png.ts'
export { writeFileAtomic } from './files.ts'
export { openWeights, type WeightsFile } from './formats/weights.ts'
export {
  type AdapterDescription,
  adapterLine,
  describeAdapter,
  type GpuOptions,
  listAdapters,
  openAdapter,
  openDevice,
} from './gpu.ts'
export { type Batch, Loader, type LoaderOptions } from './loader.ts'
export { evaluateStep, pipelined, type Samples, trainStep } from './loop.ts'
export { type Averages, addBatch, averages, type BatchResult, noTotals, type Totals } from './metrics.ts'
export { ExperimentNet } from './model.ts'
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
} from './options.ts'
export { experimentDistributed } from './parallel/experiment.ts'
export { DISTRIBUTED_DEFAULTS, type DistributedOptions, distributedOptions, remarks } from './parallel/options.ts'
export { trainDistributed } from './parallel/train.ts'
export { PRECISIONS, type Precision, setPrecision } from './precision.ts'
export type { Answer, Prediction } from './predict/answer.ts'
export { IMAGENET_CLASSES } from './predict/class_names.ts'
export { type Classifier, type ClassifierOptions, openClassifier } from './predict/classifier.ts'
export { listImages } from './predict/images.ts'
export { type Outcome, type PredictOptions, predict } from './predict/predict.ts'
export { publishedWeights, weightsFolder } from './pretrained.ts'
export { PROFILING_TOGGLES_OFF, perfettoTrace, profileTable, StepProfile } from './profile.ts'
export { type Progress, startProgress } from './progress.ts'
export { Sampler, type SamplerOptions } from './sampler.ts'
export { FeatureSet, imageSamples } from './samples.ts'
export { openDummy } from './sources/dummy.ts'
export { openFolder } from './sources/folder.ts'
export { openMnist } from './sources/mnist.ts'
export type { Dataset, Source } from './sources/source.ts'
export { train } from './train.ts'
