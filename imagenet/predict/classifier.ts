/** A network that classifies, from a file of weights of any origin. */
import type { Device, Tensor } from '../../engine/index.ts'
import {
  type Arch,
  archs,
  CheckpointError,
  type CheckpointInfo,
  Generator,
  type HeadNoise,
  isCheckpoint,
  type Module,
  type ResNetName,
  recognizeResNet,
  resnet,
  resnetNames,
  type SavedTensor,
  StateError,
} from '../../nn/index.ts'
import { MNIST_NORMALISATION } from '../data/sources/mnist.ts'
import { IMAGENET_MEAN, IMAGENET_STD } from '../data/sources/source.ts'
import { UsageError } from '../errors.ts'
import type { TransformName } from '../images/augment.ts'
import { checkpointOf } from '../run/checkpoint.ts'
import { ExperimentNet } from '../run/model.ts'
import { DEFAULTS, type TrainOptions } from '../run/options.ts'
import { isTorchCheckpoint } from '../weights/formats/torch_checkpoint.ts'
import { openWeights, type WeightsFile } from '../weights/formats/weights.ts'
import { classNames } from './class_names.ts'

/** How images become a network's input. */
export interface InputRecipe {
  transform: TransformName
  mean: readonly number[]
  std: readonly number[]
  /** Pixels a side. */
  imageSize: number
}

export interface Classifier {
  base: ResNetName
  /** Whether a head of two layers is on the base, rather than torchvision's last layer: it takes noise. */
  hasHead: boolean
  /** How the head was trained; null where there is none, or the file does not say. */
  arch: Arch | null
  /** A name a class. */
  classes: readonly string[]
  recipe: InputRecipe
  /** x: [N, H, W, 3] → [N, features], without noise. */
  features(x: Tensor): Tensor
  /** [N, features] → logits [N, classes], under the noise that was set. */
  logits(features: Tensor): Tensor
  /** How the head is evaluated; null: under the noise that it was trained with. */
  setNoise(noise: HeadNoise | null): void
  /** Where the noise comes from. */
  generator: Generator
  /** Reads the weights onto a device; to be called once, before anything is computed. */
  place(device: Device): void
}

export interface ClassifierOptions {
  /** What the weights are of, where the file cannot be trusted to say. */
  base?: ResNetName
  /** Of the noise. */
  seed: number
}

/**
 * A whole classifier: of torchvision (the network's own names, `fc` last), of this project's training or of the original
 * research code (`base.*`, `exp.*`). The file stays open until `place` has read the weights.
 * @throws UsageError that names the file when it holds no classifier
 */
export async function openClassifier(file: string, options: ClassifierOptions): Promise<Classifier> {
  const opened = await openWeights(file)
  try {
    const { info, state } = contentsOf(opened)
    const { model, ...classifier } = (state.has(HEAD_OUTPUT) ? withHead : withLastLayer)(state, info, options)
    model.eval().loadStateDict(state)
    const place = (device: Device) => {
      model.to(device)
      opened.close()
    }
    return { ...classifier, place }
  } catch (error) {
    opened.close()
    const isOfFile = error instanceof StateError || error instanceof CheckpointError || error instanceof ContentError
    throw isOfFile ? new UsageError(`${file}: ${error.message}`) : error
  }
}

/** The file holds no classifier. */
class ContentError extends Error {}

type State = ReadonlyMap<string, SavedTensor>
type Info = Partial<Pick<CheckpointInfo, 'base' | 'arch' | 'classes' | 'options'>>

/** The head's last weight, by which a base under a head is told from a network of torchvision. */
const HEAD_OUTPUT = 'exp.li2.weight'

/** What a file says of the network, which is little unless it is a checkpoint; and the network's state. */
function contentsOf(opened: WeightsFile): { info: Info; state: State } {
  const { saved, tensors, metadata } = opened
  if (!(saved ? isTorchCheckpoint(saved) : isCheckpoint(opened))) {
    const arch = metadata.arch ?? saved?.get('arch')
    return { info: typeof arch === 'string' ? { arch } : {}, state: tensors }
  }
  const { info, model } = checkpointOf(opened)
  return { info, state: model }
}

type Unplaced = Omit<Classifier, 'place'> & { model: Module }

/** torchvision's network. */
function withLastLayer(state: State, info: Info, { base: given, seed }: ClassifierOptions): Unplaced {
  const count = state.get('fc.weight')?.shape[0]
  if (count === undefined)
    throw new ContentError(
      state.has('li2.weight')
        ? 'it holds a head alone, without the base under it'
        : `it holds no classifier: neither a last layer 'fc' nor a head 'exp'`,
    )
  const base = given ?? recognize(state)
  const model = resnet(base, { numClasses: count })
  return {
    model,
    base,
    hasHead: false,
    arch: null,
    classes: classNames(count, info.classes),
    recipe: recipeOf(info.options),
    features: (x) => model.forwardFeatures(x),
    logits: (features) => model.fc!.call(features),
    setNoise: () => {},
    generator: new Generator(seed),
  }
}

/** A base under a head, as training saves it. */
function withHead(state: State, info: Info, { base: given, seed }: ClassifierOptions): Unplaced {
  const prefix = 'base.'
  const ofBase = [...state].filter(([name]) => name.startsWith(prefix))
  const base = given ?? recognize(new Map(ofBase.map(([name, tensor]) => [name.slice(prefix.length), tensor])))
  const arch = archs.find((name) => name === info.arch) ?? null
  const [count] = state.get(HEAD_OUTPUT)!.shape
  const generator = new Generator(seed)
  // Any kind of head takes the weights of any other; White adds no noise of its own.
  const options = { ...DEFAULTS, ...info.options, base, arch: arch ?? 'White' }
  const model = new ExperimentNet(options, count, generator)
  return {
    model,
    base,
    hasHead: true,
    arch,
    classes: classNames(count, info.classes),
    recipe: recipeOf(info.options),
    features: (x) => model.base.call(x),
    logits: (features) => model.exp.call(features),
    setNoise: (noise) => {
      model.exp.noise = noise
    },
    generator,
  }
}

/** Which network a state is of, by its names and shapes. @throws ContentError when of none */
function recognize(state: State): ResNetName {
  const name = recognizeResNet(state)
  if (name) return name
  throw new ContentError(
    `it is of no network that is known (${resnetNames.join(', ')}); --base NAME says what it lacks`,
  )
}

/** What evaluation does with images of the kind that the run was about. */
function recipeOf({ dir, dummy, imageSize }: Partial<TrainOptions> = {}): InputRecipe {
  const size = Number.isSafeInteger(imageSize) ? imageSize! : DEFAULTS.imageSize
  if (dummy) return { transform: 'val', mean: [0, 0, 0], std: [1, 1, 1], imageSize: size }
  if (dir === 'mnist') return { transform: 'digits', ...MNIST_NORMALISATION, imageSize: size }
  return { transform: 'val', mean: IMAGENET_MEAN, std: IMAGENET_STD, imageSize: size }
}
