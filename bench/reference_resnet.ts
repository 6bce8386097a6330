/**
 * A bottleneck ResNet in eval mode on the CPU, in float64 sums: what a network's result is checked against where there
 * is no recorded one. ResNet-152 on an image of 224 × 224 takes some ten seconds.
 */
import type { SavedTensor } from '../nn/formats/file_tensor.ts'
import { batchNorm2d } from '../test/reference/batchnorm.ts'
import { addRelu, relu } from '../test/reference/elementwise.ts'
import { map, type Nd, nd, permute } from '../test/reference/nd.ts'
import { adaptiveAvgPool2d, maxPool2d } from '../test/reference/pool.ts'

/** State in torchvision's names and layout. */
export type State = ReadonlyMap<string, SavedTensor>

/** x: [1, H, W, 3] → the features before the last layer, [1, 1, 1, C]. */
export function features(state: State, x: Nd): Nd {
  const get = (name: string): Nd => {
    const { shape, data } = state.get(name)!
    return nd(shape, data as Float32Array)
  }
  /** A convolution and the BatchNorm behind it. */
  const normalised = (x: Nd, conv: string, norm: string, stride: number): Nd => {
    const weight = permute(get(`${conv}.weight`), [2, 3, 1, 0])
    return batchNorm2d(convolve(x, weight, stride), {
      ...{ weight: get(`${norm}.weight`), bias: get(`${norm}.bias`) },
      ...{ runningMean: get(`${norm}.running_mean`), runningVar: get(`${norm}.running_var`) },
      ...{ training: false, momentum: 0, eps: 1e-5 },
    }).out
  }
  const bottleneck = (x: Nd, name: string, stride: number): Nd => {
    const one = relu(normalised(x, `${name}.conv1`, `${name}.bn1`, 1)).out
    const two = relu(normalised(one, `${name}.conv2`, `${name}.bn2`, stride)).out
    const three = normalised(two, `${name}.conv3`, `${name}.bn3`, 1)
    const fits = !state.has(`${name}.downsample.0.weight`)
    const shortcut = fits ? x : normalised(x, `${name}.downsample.0`, `${name}.downsample.1`, stride)
    return addRelu(three, shortcut).out
  }
  let out = relu(normalised(x, 'conv1', 'bn1', 2)).out
  out = maxPool2d(out, { kernelSize: 3, stride: 2, padding: 1 }).out
  for (let stage = 1; stage <= 4; stage++)
    for (let block = 0; state.has(`layer${stage}.${block}.conv1.weight`); block++)
      out = bottleneck(out, `layer${stage}.${block}`, stage > 1 && block === 0 ? 2 : 1)
  return adaptiveAvgPool2d(out, [1, 1]).out
}

/**
 * test/reference/conv2d.ts for one image and half a kernel of padding, in an order of loops that is thirty times as fast.
 * x: [1, H, W, C], weight: [K, K, C, O].
 */
function convolve(x: Nd, weight: Nd, stride: number): Nd {
  const [, height, width, channels] = x.shape
  const [kernel, , , outputs] = weight.shape
  const padding = (kernel - 1) / 2
  const [outHeight, outWidth] = [height, width].map((extent) => Math.ceil(extent / stride))
  const out = nd([1, outHeight, outWidth, outputs])
  for (let oh = 0; oh < outHeight; oh++)
    for (let ow = 0; ow < outWidth; ow++) {
      const sums = out.data.subarray((oh * outWidth + ow) * outputs, (oh * outWidth + ow + 1) * outputs)
      for (let kh = 0; kh < kernel; kh++)
        for (let kw = 0; kw < kernel; kw++) {
          const [h, w] = [oh * stride - padding + kh, ow * stride - padding + kw]
          if (h < 0 || h >= height || w < 0 || w >= width) continue
          const tap = (kh * kernel + kw) * channels
          for (let c = 0; c < channels; c++)
            addScaled(sums, x.data[(h * width + w) * channels + c], weight.data, (tap + c) * outputs)
        }
    }
  return out
}

/** sums += scale · row, which starts at `at`. Behind a ReLU many pixels are 0. */
function addScaled(sums: Float64Array, scale: number, row: Float64Array, at: number): void {
  if (scale === 0) return
  for (let o = 0; o < sums.length; o++) sums[o] += scale * row[at + o]
}

/** features · weightᵀ + bias of the last layer. [1, 1, 1, C] → [1, classes]. */
export function logits(state: State, features: Nd): Nd {
  const weight = state.get('fc.weight')!.data as Float32Array
  const bias = state.get('fc.bias')!.data as Float32Array
  const inputs = features.data.length
  return map(nd([1, bias.length]), (_, k) =>
    features.data.reduce((sum, value, i) => sum + value * weight[k * inputs + i], bias[k]),
  )
}
