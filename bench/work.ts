/** What a benchmark is made of: families of groups, a group being works that are timed in turn. */
import { type Device, Tensor } from '../engine/index.ts'
import type { Shape } from '../engine/tensor.ts'
import { hashed } from '../test/reference/hashed.ts'
import { size } from '../test/reference/nd.ts'
import type { Timing } from './measure.ts'

/** Something that is timed. */
export interface Work {
  name: string
  /** Does it once. Called in a scope; a promise that it returns is waited for before the clock is read. */
  run(): unknown
  /** Throws unless what `run` computes agrees with the reference. Called once, before anything is timed. */
  check(): Promise<void>
  /** Floating point operations of one run, a multiply-add being two. */
  flops?: number
  /** The least traffic of one run, where memory is what bounds it: each input read once, each output written once. */
  bytes?: number
  /** Images that one run handles, where that is what counts. */
  images?: number
  /** The work of the same group that this one's time is divided by. */
  against?: string
}

/** Works that are timed in turn, so that their ratios hold on a machine whose speed drifts. */
export interface Group {
  name: string
  /** Makes what the works need. Tensors that it hands to `bench.keep` are freed after the group. */
  prepare(bench: Workbench): Work[] | Promise<Work[]>
}

/** A group that is timed in processes of its own. */
export interface ElsewhereGroup {
  name: string
  elsewhere(): Measured
}

export interface Measured {
  works: Pick<Work, 'name' | 'flops' | 'bytes' | 'images' | 'against'>[]
  timings: Timing[]
}

/** What was found of one work. */
export interface Row {
  family: string
  group: string
  work: string
  /** Median, seconds a run. */
  seconds: number
  /** Half the distance between the quartiles, as a part of the median. */
  spread: number
  rounds: number[]
  flops?: number
  bytes?: number
  images?: number
  /** Part of the adapter's best: of multiply-adds a second, or of bytes a second of a copy of the same tensor. */
  share?: number
  /** Time over that of another work of the group, the median of the rounds' ratios. */
  ratio?: { to: string; value: number }
}

export interface Family {
  name: string
  groups(device: Device): (Group | ElsewhereGroup)[]
  /** What its rows come to, in words. */
  conclude?(rows: readonly Row[]): string[]
}

/** Random numbers, on the GPU and as they are. */
export interface RandomTensor {
  tensor: Tensor
  values: Float32Array<ArrayBuffer>
  shape: Shape
}

/** A device and the tensors that a group keeps on it. */
export class Workbench {
  readonly device: Device
  readonly #kept: Tensor[] = []
  readonly #whenDone: (() => void)[] = []

  constructor(device: Device) {
    this.device = device
  }

  /** Numbers uniform in [-1, 1), a function of their name, then made `to` something. */
  random(name: string, shape: Shape, to?: (u: number) => number): RandomTensor {
    const values = hashed(name, size(shape), to)
    return { tensor: this.keep(Tensor.from(this.device, values, shape)), values, shape }
  }

  /** Keeps a tensor, and what autograd recorded of it, until the group is done. */
  keep(tensor: Tensor): Tensor {
    this.#kept.push(tensor)
    return tensor
  }

  /** Gives back what is no tensor of its own, after the group. */
  whenDone(free: () => void): void {
    this.#whenDone.push(free)
  }

  free(): void {
    for (const free of this.#whenDone) free()
    for (const tensor of this.#kept) {
      tensor.node?.release()
      tensor.release()
    }
  }
}

/**
 * How to compute the gradient of one input of an op, the others being frozen, as often as wanted: the op is recorded
 * here, once, and what is returned is its own backward. (What is recorded outside any scope stays until `free`.)
 */
export function gradientOf(
  bench: Workbench,
  inputs: readonly Tensor[],
  which: number,
  dy: Tensor,
  op: (inputs: readonly Tensor[]) => Tensor,
): () => Tensor {
  const views = inputs.map((input) => bench.keep(input.view(input.shape)))
  views[which].requiresGrad = true
  const { node } = bench.keep(op(views))
  if (!node) throw new Error('the op recorded nothing, though an input requires a gradient')
  return () =>
    node.backward(
      dy,
      () => null,
      () => null,
    )[node.inputs.indexOf(views[which])]!
}
