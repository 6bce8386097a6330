/**
 * Reverse-mode differentiation. An op that wants a gradient hands its backward to `record`; `backward` walks what was
 * recorded once, last op first. A parameter's gradient accumulates in `grad`; an activation's is handed on and freed.
 */
import { ElementKernel } from './elements.ts'
import { ShapeError, show } from './errors.ts'
import addSource from './shaders/add.wgsl'
import { empty, type Node, type SgdUpdate, scope, Tensor, trackNode } from './tensor.ts'

let enabled = true
let nodesMade = 0

/** Runs `make` without recording, as if nothing required a gradient. */
export function noGrad<T>(make: () => T): T {
  const before = enabled
  enabled = false
  try {
    return make()
  } finally {
    enabled = before
  }
}

/** Whether an op on these inputs is to be recorded. */
export const wantsGrad = (inputs: readonly (Tensor | null | undefined)[]): boolean =>
  enabled && inputs.some((input) => input?.requiresGrad)

/**
 * Notes how to go back through an op; returns its output. Records nothing when no input requires a gradient.
 * @param saved the tensors that `backward` reads; they stay alive until it has run, or the outermost scope ends
 * @param backward from the output's gradient to each input's, in the order of `inputs`; called inside a scope. It may
 *   leave out (null) the gradient of an input that requires none: check `requiresGrad`.
 */
export function record(
  name: string,
  output: Tensor,
  inputs: readonly Tensor[],
  saved: readonly Tensor[],
  backward: Node['backward'],
): Tensor {
  output.device.timer?.nameOp(name)
  if (!wantsGrad(inputs)) return output
  if (inputs.some(({ dtype }) => dtype === 'f16'))
    throw new Error(`${name}: half precision has no gradients: use f32, or freeze what is of f16`)
  let held = saved.map((tensor) => tensor.retain())
  const release = () => {
    for (const tensor of held) tensor.release()
    held = []
  }
  output.requiresGrad = true
  output.node = { id: nodesMade++, name, inputs, backward, release }
  trackNode(output.node)
  return output
}

/** Who goes on with a leaf, a parameter, while earlier ops' gradients are still to come. */
export interface LeafReceiver {
  /** Called with each leaf as soon as all of its gradient has been given to the GPU. */
  complete(leaf: Tensor): void
  /**
   * The step that a leaf is to make once its gradient is complete, null where `complete` sees to that. An op may make it
   * as it computes that gradient, which then is never stored; `complete` is not called with the leaf.
   */
  updateOf?(leaf: Tensor): SgdUpdate | null
}

/**
 * Gradients of `output` with respect to every leaf that requires one, added to its `grad`.
 * @param seed the gradient of `output`; 1 unless given, for which `output` must be a scalar
 */
export function backward(output: Tensor, seed?: Tensor, receiver?: LeafReceiver): void {
  if (!output.node) throw new Error('backward: nothing was recorded: no input of this tensor requires a gradient')
  if (!seed && output.size !== 1)
    throw new ShapeError(`backward: ${show(output.shape)} is no scalar; pass the gradient to start from`)
  const grads = new Map<Tensor, Tensor>()
  scope(() => {
    const ones = seed ?? Tensor.from(output.device, Float32Array.of(1), output.shape)
    grads.set(output, ones.retain())
  })
  const recorded = recordedBefore(output)
  const leaves = receiver ? new OpenLeaves(recorded, receiver) : null
  for (const tensor of recorded) {
    const node = tensor.node!
    const dy = grads.get(tensor)
    // Of the inputs whose step the op may make, those of which it then gives no gradient.
    const moved = new Set<Tensor>()
    if (dy) {
      scope(() => {
        const included = new Set<Tensor>()
        const received = (input: Tensor) => {
          const before = input.node ? grads.get(input) : input.grad
          if (before) included.add(input)
          return before ?? null
        }
        const updateOf = (input: Tensor) => {
          const update = leaves?.updateOf(input) ?? null
          if (update) moved.add(input)
          return update
        }
        const inputGrads = node.backward(dy, received, updateOf)
        node.inputs.forEach((input, i) => {
          const grad = inputGrads[i]
          if (grad) moved.delete(input)
          if (grad && input.requiresGrad) receive(input, grad, grads, included.delete(input))
        })
        dy.device.timer?.nameOp(`${node.name} backward`)
      })
      grads.delete(tensor)
      dy.release()
    }
    node.release()
    leaves?.used(node, moved)
  }
}

const leavesOf = ({ inputs }: Node): Tensor[] => inputs.filter(({ node, requiresGrad }) => !node && requiresGrad)

/** The leaves whose gradients are not complete, and their receiver. */
class OpenLeaves {
  readonly #receiver: LeafReceiver
  /** How often each is an input still. */
  readonly #uses = new Map<Tensor, number>()

  constructor(recorded: readonly Tensor[], receiver: LeafReceiver) {
    this.#receiver = receiver
    for (const { node } of recorded)
      for (const leaf of leavesOf(node!)) this.#uses.set(leaf, (this.#uses.get(leaf) ?? 0) + 1)
  }

  /** The step that an op may make with an input whose whole gradient it computes. */
  updateOf(input: Tensor): SgdUpdate | null {
    const whole = this.#uses.get(input) === 1 && !input.grad
    return (whole && this.#receiver.updateOf?.(input)) || null
  }

  /** @param moved inputs with which the op made that step */
  used(node: Node, moved: ReadonlySet<Tensor>): void {
    for (const leaf of leavesOf(node)) {
      const left = this.#uses.get(leaf)! - 1
      this.#uses.set(leaf, left)
      if (left === 0 && !moved.has(leaf)) this.#receiver.complete(leaf)
    }
  }
}

/**
 * Adds a gradient to what its tensor has received so far: in `grad` for a leaf, in `grads` for what an op made.
 * @param included whether the gradient includes that already
 */
function receive(input: Tensor, grad: Tensor, grads: Map<Tensor, Tensor>, included: boolean): void {
  const before = input.node ? grads.get(input) : input.grad
  const total = (before && !included ? sum(before, grad) : grad).retain()
  before?.release()
  if (input.node) grads.set(input, total)
  else input.grad = total
}

/** All recorded tensors that `output` was computed from, itself included, the latest first. */
function recordedBefore(output: Tensor): Tensor[] {
  const found = new Set<Tensor>()
  const open = [output]
  for (let tensor = open.pop(); tensor; tensor = open.pop()) {
    if (!tensor.node || found.has(tensor)) continue
    found.add(tensor)
    open.push(...tensor.node.inputs)
  }
  return [...found].sort((a, b) => b.node!.id - a.node!.id)
}

const addKernel = new ElementKernel('add', addSource)

/** a + b, unrecorded, for tensors of one shape. */
export function sum(a: Tensor, b: Tensor): Tensor {
  const out = empty(a.device, a.shape)
  addKernel.run(a.device, out.size, {}, [a, b, out])
  return out
}
