/** Runs an op as a table row describes it and compares it, and every gradient, with its reference. */
import * as assert from 'uvu/assert'
import { backward, countTensors, scope, Tensor } from '../../engine/index.ts'
import { testDevice } from '../device.ts'
import { close, type Nd, Random, type Reference, type Tolerance } from '../reference/nd.ts'

export interface Row<Name extends string> {
  name: string
  /** What the op takes and has a gradient for. */
  inputs: Record<Name, Nd>
  op: (inputs: Record<Name, Tensor>) => Tensor
  reference: (inputs: Record<Name, Nd>) => Reference
  /** ROUNDING unless given. */
  tolerance?: Tolerance
}

/**
 * A float32 operation rounds by 2^-24 = 6e-8 of its result at most, and WGSL allows a few times that for division, exp
 * and log. The table's sums have at most a few hundred terms, whose roundings mostly cancel: a hundred roundings are
 * allowed.
 */
export const ROUNDING: Tolerance = { rtol: 1e-5 }

/** Float elements as a tensor. */
export async function tensor(x: Nd): Promise<Tensor> {
  return Tensor.from(await testDevice(), Float32Array.from(x.data), x.shape)
}

/** Labels or other whole numbers as a tensor beside `like`. */
export const whole = (like: Tensor, x: Nd): Tensor => Tensor.from(like.device, Uint32Array.from(x.data), x.shape)

/**
 * Checks the output, then the gradients: of all inputs at once, and of each input while the others are frozen and must
 * get none. When all are frozen, nothing may be recorded. No tensor may be left behind.
 */
export async function checkOp<Name extends string>(row: Row<Name>): Promise<void> {
  const { inputs, op, reference, tolerance = ROUNDING } = row
  const device = await testDevice()
  const names = Object.keys(inputs) as Name[]
  const expected = reference(inputs)
  const dOut = new Random(1).normal(expected.out.shape)
  const expectedGrads = expected.backward(dOut)

  for (const trained of [names, ...(names.length > 1 ? names.map((name) => [name]) : []), []]) {
    const tensorsBefore = countTensors()
    const results = scope(() => {
      const leaves = {} as Record<Name, Tensor>
      for (const name of names) {
        leaves[name] = Tensor.from(device, Float32Array.from(inputs[name].data), inputs[name].shape)
        leaves[name].requiresGrad = trained.includes(name)
      }
      const out = op(leaves)
      assert.equal([...out.shape], [...expected.out.shape], 'shape')
      assert.is(out.node !== null, trained.length > 0, 'recorded')
      if (out.node) backward(out, Tensor.from(device, Float32Array.from(dOut.data), dOut.shape))
      const grads = names.map((name) => {
        const { grad } = leaves[name]
        assert.is(grad !== null, trained.includes(name), `a gradient of ${name}, training ${trained}`)
        const values = grad?.read()
        grad?.release()
        return values
      })
      return { out: out.read(), grads }
    })
    assert.is(countTensors(), tensorsBefore, 'tensors left behind')
    close(await results.out, expected.out, tolerance, 'output')
    for (const [i, name] of names.entries()) {
      const grad = await results.grads[i]
      if (grad) close(grad, expectedGrads[name], tolerance, `gradient of ${name}, training ${trained}`)
    }
  }
}
