/** Other shapes of the same elements: no kernel runs. */
import { record } from '../autograd.ts'
import { ShapeError, show } from '../errors.ts'
import { type Shape, sizeOf, type Tensor } from '../tensor.ts'

/**
 * x in another shape of as many elements, row-major. The result shares x's memory.
 * @throws ShapeError when the sizes differ.
 */
export function reshape(x: Tensor, shape: Shape): Tensor {
  if (sizeOf(shape) !== x.size)
    throw new ShapeError(`reshape: ${show(x.shape)} has ${x.size} elements, ${show(shape)} ${sizeOf(shape)}`)
  return record('reshape', x.view(shape), [x], [], (dy) => [dy.view(x.shape)])
}

/** [N, …] to [N, the product of the rest], as torch.flatten(x, 1). */
export function flatten(x: Tensor): Tensor {
  const [batch, ...rest] = x.shape
  return reshape(x, [batch, sizeOf(rest)])
}
