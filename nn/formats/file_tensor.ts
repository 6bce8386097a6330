/** A tensor in a file. */
import { byteLengthOf, type Dtype, decodeElements, type TensorData } from './dtypes.ts'

/** What a state is made of: a tensor as files and PyTorch have it. */
export interface SavedTensor {
  readonly dtype: Dtype
  /** Sizes of the axes, outermost first; [] is a scalar. */
  readonly shape: readonly number[]
  /** The elements, row-major, as `decodeElements` gives them. */
  readonly data: TensorData
}

/**
 * A tensor whose place in a file was checked and whose elements are read when they are asked for, anew each time: so
 * weights go to the GPU one by one, and a file of any size needs the memory of its largest tensor.
 */
export class FileTensor implements SavedTensor {
  readonly dtype: Dtype
  readonly shape: readonly number[]
  readonly #read: () => Uint8Array

  /** @param read the elements' bytes, row-major without gaps */
  constructor(dtype: Dtype, shape: readonly number[], read: () => Uint8Array) {
    this.dtype = dtype
    this.shape = shape
    this.#read = read
  }

  get byteLength(): number {
    return byteLengthOf(this.dtype, this.shape)
  }

  /** The elements as they are stored, row-major, little-endian. Not to be written to. */
  bytes(): Uint8Array {
    return this.#read()
  }

  get data(): TensorData {
    return decodeElements(this.dtype, this.#read())
  }
}
