/** The Kakuritsu layer beside our own linear layer of the same size: forward, and both gradients. */
import {
  type Device,
  type Key,
  kakuritsuLinear,
  linear,
  type MaskGradient,
  memoryOf,
  noGrad,
  scope,
  type Tensor,
} from '../engine/index.ts'
import { mask, kakuritsuLinear as reference, type TakesPart } from '../test/reference/kakuritsu.ts'
import { Random } from '../test/reference/nd.ts'
import { close, part, read, some, sumOf } from './check.ts'
import { type Family, gradientOf, type Work, type Workbench } from './work.ts'

/** The first layer of the experiment's heads, at the batch of the published runs. */
const [BATCH, INPUTS, CELLS] = [64, 2048, 1000]

const KEY: Key = { seed: 2024, layer: 0, step: 7 }

/** 0.5 takes one random bit a synapse; 0.3 as many as decide on which side of it a synapse falls, two on average. */
const PROBABILITIES = [0.5, 0.3]

/** Samples, cells and inputs in which a result is checked; all of them along the axis that is summed. */
const CHECKED = 6

/** What the mask would take, were it stored: a bit for each sample, cell and input. */
const MASK_BYTES = (BATCH * CELLS * INPUTS) / 8

export const kakuritsuFamily: Family = {
  name: 'kakuritsu',
  groups: () =>
    (['forward', 'gradient of x', 'gradient of weight'] as const).map((part) => ({
      name: `[${BATCH}, ${INPUTS}] · [${INPUTS}, ${CELLS}], ${part}`,
      prepare: (bench) => works(bench, part),
    })),
}

type Part = 'forward' | 'gradient of x' | 'gradient of weight'

/**
 * Whether a run finds its operands as the run before left them, as other works do, or changed, as a training step does: on
 * software adapters the layer reads textures, and copies into them what has changed.
 */
type Operands = 'unchanged' | 'changed'

function works(bench: Workbench, part: Part): Work[] {
  const compared = (maskGradient: MaskGradient, operands: Operands = 'unchanged') =>
    PROBABILITIES.map((p) => {
      const layer = (x: Tensor, weight: Tensor) => kakuritsuLinear(x, weight, p, { key: KEY, maskGradient })
      const label = [`Kakuritsu, p = ${p}`]
      if (part !== 'forward') label.push(maskGradient)
      if (operands === 'changed') label.push('operands changed')
      return { ...work(bench, part, label.join(', '), layer, mask(KEY, p), maskGradient, operands), against: 'linear' }
    })
  const plain = work(bench, part, 'linear', linear, () => true, 'exact')
  if (part === 'forward') return [plain, ...compared('exact'), ...compared('exact', 'changed')]
  // The straight-through gradient does not look at p.
  return [plain, ...compared('exact'), compared('straight-through')[0]]
}

function work(
  bench: Workbench,
  which: Part,
  name: string,
  layer: (x: Tensor, weight: Tensor) => Tensor,
  takesPart: TakesPart,
  maskGradient: MaskGradient,
  operands: Operands = 'unchanged',
): Work {
  const x = bench.random('x', [BATCH, INPUTS])
  const weight = bench.random('weight', [INPUTS, CELLS])
  const dy = bench.random('dy', [BATCH, CELLS])
  const once = {
    forward: () => noGrad(() => layer(x.tensor, weight.tensor)),
    'gradient of x': gradientOf(bench, [x.tensor, weight.tensor], 0, dy.tensor, ([x, weight]) => layer(x, weight)),
    'gradient of weight': gradientOf(bench, [x.tensor, weight.tensor], 1, dy.tensor, ([x, weight]) => layer(x, weight)),
  }[which]
  const run = () => {
    if (operands === 'changed') for (const { tensor } of [x, weight]) tensor.storage.version++
    return once()
  }

  const check = async () => {
    const taken = memoryTaken(bench.device, run)
    if (taken >= MASK_BYTES)
      throw new Error(`a run takes ${taken} bytes, room enough to store its mask of ${MASK_BYTES}`)
    const random = new Random(1)
    const chosen = (extent: number, summed: boolean) =>
      summed ? Array.from({ length: extent }, (_, i) => i) : some(random, extent, CHECKED)
    const samples = chosen(BATCH, which === 'gradient of weight')
    const inputs = chosen(INPUTS, which === 'forward')
    const cells = chosen(CELLS, which === 'gradient of x')
    const { out, backward } = reference(
      part(x.values, x.shape, [samples, inputs]),
      part(weight.values, weight.shape, [inputs, cells]),
      { takesPart: (b, n, i) => takesPart(samples[b], cells[n], inputs[i]), maskGradient },
    )
    const actual = await read(run)
    const gradients = () => backward(part(dy.values, dy.shape, [samples, cells]))
    switch (which) {
      case 'forward':
        return close(part(actual, dy.shape, [samples, cells]), out, sumOf(INPUTS))
      case 'gradient of x':
        return close(part(actual, x.shape, [samples, inputs]), gradients().x, sumOf(CELLS))
      case 'gradient of weight':
        return close(part(actual, weight.shape, [inputs, cells]), gradients().weight, sumOf(BATCH))
    }
  }
  return { name, run, check, flops: 2 * BATCH * INPUTS * CELLS }
}

/** Bytes by which a run raises what is in use on the GPU, its result among them. */
function memoryTaken(device: Device, run: () => Tensor): number {
  const memory = memoryOf(device)
  memory.peakBytes = memory.liveBytes
  scope(() => {
    run()
  })
  return memory.peakBytes - memory.liveBytes
}
