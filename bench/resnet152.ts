/** The convolutions of ResNet-152 on an image of 224 × 224 (He et al. 2015, table 1, with torchvision's strides). */

export interface ConvShape {
  /** Channels in and out. */
  channels: number
  outputs: number
  /** Pixels a side of what goes in. */
  size: number
  kernel: number
  stride: number
  /** How many layers of the network have this shape. */
  layers: number
}

/** Channels of each stage's 3 × 3 convolutions, its blocks, and pixels a side of what it makes. */
const STAGES = [
  { width: 64, blocks: 3, size: 56 },
  { width: 128, blocks: 8, size: 28 },
  { width: 256, blocks: 36, size: 14 },
  { width: 512, blocks: 3, size: 7 },
]

/** Every shape once, in the order of the network. */
export const CONVOLUTIONS: readonly ConvShape[] = [
  { channels: 3, outputs: 64, size: 224, kernel: 7, stride: 2, layers: 1 },
  ...STAGES.flatMap(({ width, blocks, size }, stage): ConvShape[] => {
    const stride = stage === 0 ? 1 : 2
    const channels = stage === 0 ? 64 : width * 2
    const outputs = width * 4
    const before = size * stride
    // The block that enters the stage, then the others.
    const shapes = [
      { channels, outputs: width, size: before, kernel: 1, stride: 1, layers: 1 },
      { channels: width, outputs: width, size: before, kernel: 3, stride, layers: 1 },
      { channels, outputs, size: before, kernel: 1, stride, layers: 1 },
      { channels: outputs, outputs: width, size, kernel: 1, stride: 1, layers: blocks - 1 },
      { channels: width, outputs: width, size, kernel: 3, stride: 1, layers: blocks - 1 },
      { channels: width, outputs, size, kernel: 1, stride: 1, layers: blocks },
    ]
    return shapes.reduce(merge, [])
  }),
]

/** Adds a shape to the list, or its layers to those of the same shape. */
function merge(list: ConvShape[], shape: ConvShape): ConvShape[] {
  const same = list.find((other) => describe(other) === describe(shape))
  if (same) same.layers += shape.layers
  else list.push(shape)
  return list
}

/** `3×3 256→256 at 14²`, `3×3 256→256 /2 at 28²`. */
export function describe({ channels, outputs, size, kernel, stride }: ConvShape): string {
  return `${kernel}×${kernel} ${channels}→${outputs}${stride > 1 ? ` /${stride}` : ''} at ${size}²`
}

/** Those that the bars are set for. */
export const MARKED = [
  '1×1 256→64 at 56²',
  '3×3 64→64 at 56²',
  '1×1 1024→256 at 14²',
  '3×3 256→256 at 14²',
  '1×1 256→1024 at 14²',
  '3×3 512→512 at 7²',
  '7×7 3→64 /2 at 224²',
]
