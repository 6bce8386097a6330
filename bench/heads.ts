/**
 * A training step of each head on features that are there: K under both gradients, D and W. A step is checked at a batch
 * of 2, whose reference takes seconds; at the batch that is timed, kakuritsu.ts and matmul.ts check the ops of it.
 */
import type { Tensor } from '../engine/index.ts'
import { trainStep } from '../imagenet/index.ts'
import { type Arch, Generator, type HeadOptions, head, SGD } from '../nn/index.ts'
import { dropout } from '../test/reference/dropout.ts'
import { relu } from '../test/reference/elementwise.ts'
import { kakuritsuLinear, mask } from '../test/reference/kakuritsu.ts'
import { crossEntropy } from '../test/reference/loss.ts'
import { linear } from '../test/reference/matmul.ts'
import { type Nd, nd, type Reference } from '../test/reference/nd.ts'
import { sgdStep } from '../test/reference/update.ts'
import { close, sumOf } from './check.ts'
import type { Group, Work, Workbench } from './work.ts'

const [FEATURES, CELLS, CLASSES] = [2048, 1000, 1000]
const [BATCH, CHECKED_BATCH] = [64, 2]
const SEED = 2024
const SETTINGS = { lr: 0.01, momentum: 0.9, weightDecay: 1e-4 }

interface Variant {
  name: string
  arch: Arch
  options: Pick<HeadOptions, 'p' | 'maskGradient'>
}

const PLAIN = 'W, plain'

const VARIANTS: readonly Variant[] = [
  { name: PLAIN, arch: 'White', options: {} },
  { name: 'D, dropout 0.5', arch: 'Dropout', options: {} },
  ...[0.5, 0.3].flatMap((p) =>
    (['straight-through', 'exact'] as const).map(
      (maskGradient): Variant => ({
        name: `K, p = ${p}, ${maskGradient}`,
        arch: 'Kakuritsu',
        options: { p, maskGradient },
      }),
    ),
  ),
]

export const headGroups = (): Group[] => [
  {
    name: `head step ${FEATURES} → ${CELLS} → ${CLASSES}, batch ${BATCH}`,
    prepare: (bench) => VARIANTS.map((variant) => work(bench, variant)),
  },
]

function work(bench: Workbench, variant: Variant): Work {
  const { name } = variant
  const { step } = stepOf(bench, variant, BATCH)
  return {
    name,
    run: step,
    // Two layers, and two gradients of the second and one of the first, whose features need none.
    flops: 2 * BATCH * CELLS * (2 * FEATURES + 3 * CLASSES),
    against: name === PLAIN ? undefined : PLAIN,
    check: () => check(bench, variant),
  }
}

/** A head and a step of it, which can be repeated. */
function stepOf(bench: Workbench, { arch, options }: Variant, batch: number) {
  const { device } = bench
  const generator = new Generator(SEED)
  const model = head(arch, { features: FEATURES, classes: CLASSES, hidden: CELLS, generator, ...options }).to(device)
  const optimizer = new SGD(model.parameters(), SETTINGS)
  bench.whenDone(() => {
    optimizer.free()
    model.free()
  })
  const x = bench.random('features', [batch, FEATURES])
  const labels = Uint32Array.from({ length: batch }, (_, i) => (i * 7) % CLASSES)
  let steps = 0
  const step = () => {
    generator.moveTo({ step: steps++ })
    return trainStep(device, model, optimizer, { input: (): Tensor => x.tensor, labels })
  }
  return { model, step, x, labels }
}

/** Weights and loss of a first step against the reference's. */
async function check(bench: Workbench, variant: Variant): Promise<void> {
  const { model, step, x, labels } = stepOf(bench, variant, CHECKED_BATCH)
  const weights = [model.li1, model.li2].map(({ weight }) => weight.tensor)
  const [before1, before2] = await Promise.all(weights.map(async (tensor) => nd(tensor.shape, await tensor.read())))
  const { loss } = await step()

  const layer1 = layerReference(variant, 0, nd(x.shape, x.values), before1)
  const hidden = relu(layer1.out)
  const layer2 = layerReference(variant, 1, hidden.out, before2)
  const expected = crossEntropy(layer2.out, nd([CHECKED_BATCH], labels))
  close([loss], expected.out, sumOf(FEATURES), 'loss')
  const back2 = layer2.backward(expected.backward(nd([], [1])).x)
  const back1 = layer1.backward(hidden.backward(back2.x).x)
  for (const [i, [weight, grad]] of [
    [before1, back1.weight],
    [before2, back2.weight],
  ].entries()) {
    const { param } = sgdStep(weight, grad, nd(weight.shape), SETTINGS)
    close(await weights[i].read(), param, sumOf(FEATURES), `weight ${i + 1} after a step`)
  }
}

/** A layer and its noise, in the first step. */
function layerReference({ arch, options }: Variant, layer: number, x: Nd, weight: Nd): Reference {
  const key = { seed: SEED, layer, step: 0 }
  const { p = 0.5, maskGradient = 'exact' } = options
  if (arch === 'Kakuritsu') return kakuritsuLinear(x, weight, { takesPart: mask(key, p), maskGradient })
  const { out, backward } = linear(x, weight)
  if (arch === 'White') return { out, backward }
  const dropped = dropout(out, p, key)
  return { out: dropped.out, backward: (dOut) => backward(dropped.backward(dOut).x) }
}
