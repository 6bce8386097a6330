/**
 * The residual networks of torchvision.models.resnet (version 1.5 of He et al. 2015: a bottleneck's stride sits on its
 * 3 × 3 convolution), ResNeXt (Xie et al. 2016) and wide ResNet (Zagoruyko and Komodakis 2016) among them.
 */
import { flatten, type Tensor } from '../engine/index.ts'
import { ConvNorm, convNorm } from './conv_norm.ts'
import type { SavedTensor } from './formats/file_tensor.ts'
import { constant, kaimingNormal } from './init.ts'
import { AdaptiveAvgPool2d, BatchNorm2d, Conv2d, Linear, MaxPool2d, Sequential } from './layers.ts'
import { Module, pipe } from './module.ts'

export type BlockName = 'basic' | 'bottleneck'

export interface ResNetOptions {
  /** 1000 unless given. */
  numClasses?: number
  /** Leaves out the last layer: the result is the features. */
  convOnly?: boolean
  /** Starts the last BatchNorm of each block at 0, so that each block starts as the identity (Goyal et al. 2017). */
  zeroInitResidual?: boolean
  /** For each of layer2, layer3 and layer4: keep the resolution and dilate the 3 × 3 convolutions instead. */
  replaceStrideWithDilation?: readonly [boolean, boolean, boolean]
}

export interface ResNetArchitecture {
  block: BlockName
  /** Blocks of each of the four stages. */
  layers: readonly [number, number, number, number]
  /** Groups of the 3 × 3 convolutions; 1 unless given. Bottlenecks only. */
  groups?: number
  /** Their channels a group in the first stage; 64 unless given. Bottlenecks only. */
  widthPerGroup?: number
}

interface BlockOptions {
  stride: number
  dilation: number
  groups: number
  widthPerGroup: number
  /** Fits the shortcut to the block's output where their shapes differ. */
  downsample: ConvNorm | null
}

/** Two 3 × 3 convolutions, and the shortcut. */
class BasicBlock extends Module {
  /** Channels of the output over those of the stage. */
  static readonly expansion = 1
  readonly conv1: Conv2d
  readonly bn1: BatchNorm2d
  readonly conv2: Conv2d
  readonly bn2: BatchNorm2d
  readonly downsample: ConvNorm | null

  constructor(inChannels: number, channels: number, options: BlockOptions) {
    super()
    const { stride, dilation, groups, widthPerGroup, downsample } = options
    if (groups !== 1 || widthPerGroup !== 64)
      throw new RangeError('a basic block has groups 1 and widthPerGroup 64 only')
    if (dilation !== 1) throw new RangeError('a basic block cannot be dilated: use bottlenecks')
    this.conv1 = conv3x3(inChannels, channels, { stride })
    this.bn1 = new BatchNorm2d(channels)
    this.conv2 = conv3x3(channels, channels)
    this.bn2 = new BatchNorm2d(channels)
    this.downsample = downsample
  }

  get lastNorm(): BatchNorm2d {
    return this.bn2
  }

  override forward(x: Tensor): Tensor {
    const { conv1, bn1, conv2, bn2, downsample } = this
    const inner = convNorm(x, conv1, bn1, { relu: true })
    return convNorm(inner, conv2, bn2, { residual: downsample ? downsample.call(x) : x, relu: true })
  }
}

/** 1 × 1, 3 × 3 and 1 × 1 convolutions, narrow in between, and the shortcut. */
class Bottleneck extends Module {
  static readonly expansion = 4
  readonly conv1: Conv2d
  readonly bn1: BatchNorm2d
  readonly conv2: Conv2d
  readonly bn2: BatchNorm2d
  readonly conv3: Conv2d
  readonly bn3: BatchNorm2d
  readonly downsample: ConvNorm | null

  constructor(inChannels: number, channels: number, options: BlockOptions) {
    super()
    const { stride, dilation, groups, widthPerGroup, downsample } = options
    const width = Math.floor((channels * widthPerGroup) / 64) * groups
    this.conv1 = convolution(inChannels, width, 1)
    this.bn1 = new BatchNorm2d(width)
    this.conv2 = conv3x3(width, width, { stride, dilation, groups })
    this.bn2 = new BatchNorm2d(width)
    this.conv3 = convolution(width, channels * Bottleneck.expansion, 1)
    this.bn3 = new BatchNorm2d(channels * Bottleneck.expansion)
    this.downsample = downsample
  }

  get lastNorm(): BatchNorm2d {
    return this.bn3
  }

  override forward(x: Tensor): Tensor {
    const { conv1, bn1, conv2, bn2, conv3, bn3, downsample } = this
    const inner = pipe(
      x,
      (x) => convNorm(x, conv1, bn1, { relu: true }),
      (x) => convNorm(x, conv2, bn2, { relu: true }),
    )
    return convNorm(inner, conv3, bn3, { residual: downsample ? downsample.call(x) : x, relu: true })
  }
}

const BLOCKS = { basic: BasicBlock, bottleneck: Bottleneck }

/** Channels of the stem and of the first stage; each further stage doubles them. */
const STEM_CHANNELS = 64

export class ResNet extends Module {
  readonly conv1 = convolution(3, STEM_CHANNELS, 7, { stride: 2, padding: 3 })
  readonly bn1 = new BatchNorm2d(STEM_CHANNELS)
  readonly maxpool = new MaxPool2d(3, { stride: 2, padding: 1 })
  readonly layer1: Sequential
  readonly layer2: Sequential
  readonly layer3: Sequential
  readonly layer4: Sequential
  readonly avgpool = new AdaptiveAvgPool2d(1)
  readonly fc: Linear | null
  /** How many features come before the last layer. */
  readonly features: number

  /** @throws RangeError when basic blocks are given groups, another width or dilation. */
  constructor(architecture: ResNetArchitecture, options: ResNetOptions = {}) {
    super()
    const { block, layers, groups = 1, widthPerGroup = 64 } = architecture
    const { numClasses = 1000, convOnly = false, zeroInitResidual = false } = options
    const dilated = [false, ...(options.replaceStrideWithDilation ?? [false, false, false])]
    let inChannels = STEM_CHANNELS
    let dilation = 1
    const stages = layers.map((blocks, i) => {
      const channels = STEM_CHANNELS * 2 ** i
      // The first block of a stage sees its input as dilated as the stage before left it.
      const first = { stride: i === 0 || dilated[i] ? 1 : 2, dilation }
      if (dilated[i]) dilation *= 2
      const stage = makeStage(BLOCKS[block], { blocks, inChannels, channels, first, dilation, groups, widthPerGroup })
      inChannels = channels * BLOCKS[block].expansion
      return stage
    })
    ;[this.layer1, this.layer2, this.layer3, this.layer4] = stages
    this.features = inChannels
    this.fc = convOnly ? null : new Linear(inChannels, numClasses)
    if (zeroInitResidual)
      for (const module of this.modules())
        if (module instanceof BasicBlock || module instanceof Bottleneck) module.lastNorm.weight.init = constant(0)
  }

  /** x: [N, H, W, 3] → logits [N, numClasses], or features [N, features] if `convOnly`. */
  override forward(x: Tensor): Tensor {
    const features = this.forwardFeatures(x)
    return this.fc ? this.fc.call(features) : features
  }

  /** x: [N, H, W, 3] → features [N, features], before the last layer. */
  forwardFeatures(x: Tensor): Tensor {
    const { conv1, bn1, maxpool, layer1, layer2, layer3, layer4, avgpool } = this
    const stem = (x: Tensor) => convNorm(x, conv1, bn1, { relu: true })
    return pipe(x, stem, maxpool, layer1, layer2, layer3, layer4, avgpool, flatten)
  }
}

interface StageOptions {
  blocks: number
  inChannels: number
  /** Of the 3 × 3 convolutions, before widthPerGroup. */
  channels: number
  /** Of the first block. */
  first: { stride: number; dilation: number }
  /** Of the other blocks. */
  dilation: number
  groups: number
  widthPerGroup: number
}

/** Blocks at one resolution; the first one comes from that of the stage before. */
function makeStage(
  Block: typeof BasicBlock | typeof Bottleneck,
  { blocks, inChannels, channels, first, dilation, groups, widthPerGroup }: StageOptions,
): Sequential {
  const outChannels = channels * Block.expansion
  const fits = first.stride === 1 && inChannels === outChannels
  const downsample = fits
    ? null
    : new ConvNorm(convolution(inChannels, outChannels, 1, { stride: first.stride }), new BatchNorm2d(outChannels))
  const modules: Module[] = [new Block(inChannels, channels, { ...first, groups, widthPerGroup, downsample })]
  const options = { stride: 1, dilation, groups, widthPerGroup, downsample: null }
  while (modules.length < blocks) modules.push(new Block(outChannels, channels, options))
  return new Sequential(...modules)
}

interface ConvolutionOptions {
  stride?: number
  padding?: number
  dilation?: number
  groups?: number
}

/** A convolution before BatchNorm: without bias. It starts as He et al. (2015) say, by its output. */
function convolution(
  inChannels: number,
  outChannels: number,
  kernelSize: number,
  options: ConvolutionOptions = {},
): Conv2d {
  const conv = new Conv2d(inChannels, outChannels, kernelSize, { ...options, bias: false })
  conv.weight.init = kaimingNormal(outChannels * kernelSize * kernelSize)
  return conv
}

const conv3x3 = (
  inChannels: number,
  outChannels: number,
  { stride = 1, dilation = 1, groups = 1 }: ConvolutionOptions = {},
): Conv2d => convolution(inChannels, outChannels, 3, { stride, padding: dilation, dilation, groups })

/** torchvision's networks, by its names. */
const ARCHITECTURES = {
  resnet18: { block: 'basic', layers: [2, 2, 2, 2] },
  resnet34: { block: 'basic', layers: [3, 4, 6, 3] },
  resnet50: { block: 'bottleneck', layers: [3, 4, 6, 3] },
  resnet101: { block: 'bottleneck', layers: [3, 4, 23, 3] },
  resnet152: { block: 'bottleneck', layers: [3, 8, 36, 3] },
  resnext50_32x4d: { block: 'bottleneck', layers: [3, 4, 6, 3], groups: 32, widthPerGroup: 4 },
  resnext101_32x8d: { block: 'bottleneck', layers: [3, 4, 23, 3], groups: 32, widthPerGroup: 8 },
  wide_resnet50_2: { block: 'bottleneck', layers: [3, 4, 6, 3], widthPerGroup: 128 },
  wide_resnet101_2: { block: 'bottleneck', layers: [3, 4, 23, 3], widthPerGroup: 128 },
} as const satisfies Record<string, ResNetArchitecture>

export type ResNetName = keyof typeof ARCHITECTURES

export const resnetNames = Object.keys(ARCHITECTURES) as ResNetName[]

/** The network that torchvision has under this name: `resnet('resnet152', { convOnly: true })`. */
export const resnet = (name: ResNetName, options?: ResNetOptions): ResNet => new ResNet(ARCHITECTURES[name], options)

export const resnet18 = (options?: ResNetOptions): ResNet => resnet('resnet18', options)
export const resnet34 = (options?: ResNetOptions): ResNet => resnet('resnet34', options)
export const resnet50 = (options?: ResNetOptions): ResNet => resnet('resnet50', options)
export const resnet101 = (options?: ResNetOptions): ResNet => resnet('resnet101', options)
export const resnet152 = (options?: ResNetOptions): ResNet => resnet('resnet152', options)
export const resnext50_32x4d = (options?: ResNetOptions): ResNet => resnet('resnext50_32x4d', options)
export const resnext101_32x8d = (options?: ResNetOptions): ResNet => resnet('resnext101_32x8d', options)
export const wide_resnet50_2 = (options?: ResNetOptions): ResNet => resnet('wide_resnet50_2', options)
export const wide_resnet101_2 = (options?: ResNetOptions): ResNet => resnet('wide_resnet101_2', options)

/** Which of torchvision's networks has entries of these names and shapes, its last layer aside; undefined: none. */
export const recognizeResNet = (state: ReadonlyMap<string, Pick<SavedTensor, 'shape'>>): ResNetName | undefined => {
  // PyTorch before 0.4.1 did not count batches.
  const isTelling = (name: string) => !name.startsWith('fc.') && !name.endsWith('num_batches_tracked')
  const given = [...state.keys()].filter(isTelling)
  return resnetNames.find((name) => {
    const wanted = [...resnet(name, { convOnly: true }).namedState()].filter(([entry]) => isTelling(entry))
    const fits = wanted.every(([entry, { savedShape }]) => `${state.get(entry)?.shape}` === `${savedShape}`)
    return fits && wanted.length === given.length
  })
}

/**
 * Loads a state in torchvision's names. A network without its last layer takes the state of one that has it.
 * @throws StateError when it does not fit.
 */
export function loadWeights(network: ResNet, state: ReadonlyMap<string, SavedTensor>): void {
  const isUsed = ([name]: [string, unknown]) => network.fc !== null || !name.startsWith('fc.')
  network.loadStateDict(new Map([...state].filter(isUsed)))
}
