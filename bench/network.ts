/** ResNet-152 as the tests have it: weights made from their names, and what PyTorch computed with those weights. */
import { readFileSync } from 'node:fs'
import { type Device, Tensor } from '../engine/index.ts'
import type { SavedTensor } from '../nn/formats/file_tensor.ts'
import { readSafetensors } from '../nn/formats/safetensors.ts'
import { type ResNet, resnet152 } from '../nn/index.ts'
import { hashed, hashedWeight } from '../test/reference/hashed.ts'
import { type Nd, nd, permute } from '../test/reference/nd.ts'
import type { State } from './reference_resnet.ts'

export interface RecordedNetwork {
  net: ResNet
  state: State
}

/** The network's weights and running statistics, in torchvision's names and layout. */
export function recordedState(): State {
  const state = new Map<string, SavedTensor>()
  for (const [name, { savedShape: shape }] of resnet152().namedState())
    if (!name.endsWith('num_batches_tracked'))
      state.set(name, { dtype: 'F32', shape, data: hashedWeight(name, shape, 'bottleneck') })
  return state
}

/** The network on a device, 1000 classes. */
export function recordedNetwork(device: Device): RecordedNetwork {
  const net = resnet152()
  const state = recordedState()
  net.loadStateDict(state)
  return { net: net.to(device), state }
}

/** The recorded batch: images of 64 × 64 and their labels. */
const RECORDED = { images: 4, size: 64, labels: [0, 1, 2, 3] }

/**
 * The recorded images, so often that there are `images` of them, [images, 64, 64, 3]. A batch of copies has the mean and
 * the biased variance of the original, so that in train mode too each image gives its recorded logits, and the loss and
 * its gradients are the recorded ones.
 */
export function recordedBatch(device: Device, images: number): { x: Tensor; labels: Uint32Array } {
  const { images: recorded, size, labels } = RECORDED
  if (images % recorded !== 0) throw new Error(`${images} is no multiple of ${recorded}`)
  const nchw = nd([recorded, 3, size, size], hashed('resnet152.input', recorded * 3 * size * size))
  const x = repeat(Float32Array.from(permute(nchw, [0, 2, 3, 1]).data), images / recorded)
  return {
    x: Tensor.from(device, x, [images, size, size, 3]),
    labels: Uint32Array.from({ length: images }, (_, i) => labels[i % recorded]),
  }
}

const { tensors } = readSafetensors(readFileSync('test/fixtures/resnets.safetensors'))

export const isRecorded = (name: string): boolean => tensors.has(`resnet152.${name}`)

/** What PyTorch computed: `eval.logits`, `train.loss`, …; repeated along the first axis `times` times. */
export function recorded(name: string, times = 1): Nd {
  const { shape, data } = tensors.get(`resnet152.${name}`)!
  return nd(times === 1 ? shape : [shape[0] * times, ...shape.slice(1)], repeat(data as Float32Array, times))
}

function repeat(values: Float32Array, times: number): Float32Array<ArrayBuffer> {
  const out = new Float32Array(values.length * times)
  for (let i = 0; i < times; i++) out.set(values, i * values.length)
  return out
}
