/** relu, add, add+relu and scale: one element in, one element out. */
import { record, sum } from '../autograd.ts'
import { ElementKernel } from '../elements.ts'
import { ShapeError, show } from '../errors.ts'
import addReluSource from '../shaders/add_relu.wgsl'
import reluSource from '../shaders/relu.wgsl'
import reluBackwardSource from '../shaders/relu_backward.wgsl'
import scaleSource from '../shaders/scale.wgsl'
import { empty, type Tensor } from '../tensor.ts'

const reluKernel = new ElementKernel('relu', reluSource)
const addReluKernel = new ElementKernel('add_relu', addReluSource)
const reluBackwardKernel = new ElementKernel('relu_backward', reluBackwardSource)
const scaleKernel = new ElementKernel('scale', scaleSource)

/** max(x, 0), NaN staying NaN. x: any shape. */
export function relu(x: Tensor): Tensor {
  const y = empty(x.device, x.shape)
  reluKernel.run(x.device, x.size, {}, [x, y])
  return record('relu', y, [x], [y], (dy) => [reluBackward(y, dy)])
}

/** a + b. a, b: one shape, any. @throws ShapeError when the shapes differ; nothing is broadcast. */
export function add(a: Tensor, b: Tensor): Tensor {
  sameShape('add', a, b)
  return record('add', sum(a, b), [a, b], [], (dy) => [dy, dy])
}

/** max(a + b, 0). a, b: one shape, any. @throws ShapeError when the shapes differ. */
export function addRelu(a: Tensor, b: Tensor): Tensor {
  sameShape('addRelu', a, b)
  const y = empty(a.device, a.shape)
  addReluKernel.run(a.device, y.size, {}, [a, b, y])
  return record('addRelu', y, [a, b], [y], (dy) => {
    const d = reluBackward(y, dy)
    return [d, d]
  })
}

/** factor · x. x: any shape; a factor of 1 gives x itself. */
export function scale(x: Tensor, factor: number): Tensor {
  if (factor === 1) return x
  const times = (from: Tensor): Tensor => {
    const to = empty(from.device, from.shape)
    scaleKernel.run(from.device, from.size, { factor }, [from, to])
    return to
  }
  return record('scale', times(x), [x], [], (dy) => [times(dy)])
}

/** The gradient of relu's input, from its output y and dy. */
function reluBackward(y: Tensor, dy: Tensor): Tensor {
  const dx = empty(y.device, y.shape)
  reluBackwardKernel.run(y.device, y.size, {}, [y, dy, dx])
  return dx
}

function sameShape(op: string, a: Tensor, b: Tensor): void {
  if (a.shape.length !== b.shape.length || a.shape.some((n, i) => n !== b.shape[i]))
    throw new ShapeError(`${op} takes two tensors of one shape, given ${show(a.shape)} and ${show(b.shape)}`)
}
