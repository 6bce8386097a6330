/** Dropout with inverted scaling. Its mask is drawn again in the backward pass, never stored. */
import { record } from '../autograd.ts'
import { Kernel, spread } from '../kernel.ts'
import { type Key, keyWords, probabilityBits } from '../random.ts'
import dropoutSource from '../shaders/dropout.wgsl'
import randomSource from '../shaders/random.wgsl'
import { empty, Tensor } from '../tensor.ts'

const dropoutKernel = new Kernel('dropout', [randomSource, dropoutSource])

/** Threads of a workgroup; each makes 4 elements of a row. */
const GROUP = 64

export interface DropoutOptions {
  /** Decides the mask, with the sample's number and the element's place in it. */
  key: Key
  /** Which sample of the step x's first row is, where a step is computed in parts; 0 unless given. */
  sampleOffset?: number
}

/**
 * Each element is 0 with probability p and x / (1 − p) otherwise, as torch.nn.functional.dropout in training.
 * p = 0 gives x itself, p = 1 zeros; between them p is rounded to a multiple of 2^-32.
 * @param x [N, ...], a row a sample
 * @throws RangeError when p is outside [0, 1] or a number of the key is.
 */
export function dropout(x: Tensor, p: number, { key, sampleOffset = 0 }: DropoutOptions): Tensor {
  const threshold = probabilityBits('dropout', p, 2 ** 32)
  if (p === 0) return x
  const [key0, key1, key2, key3] = keyWords(key)
  const [rows] = x.shape
  const features = rows ? x.size / rows : 0
  const quads = Math.ceil(features / 4)
  const params = {
    rows,
    features,
    first_sample: sampleOffset,
    p: threshold,
    scale: 1 / (1 - p),
    key0,
    key1,
    key2,
    key3,
  }
  const drop = (from: Tensor): Tensor => {
    if (p === 1) return Tensor.zeros(x.device, x.shape)
    const to = empty(x.device, x.shape)
    dropoutKernel.run(x.device, params, [from, to], spread(x.device, rows * quads, GROUP))
    return to
  }
  return record('dropout', drop(x), [x], [], (dy) => [drop(dy)])
}
