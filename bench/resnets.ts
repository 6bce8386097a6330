/** ResNet-152 forward, in eval and in train mode, and its training step from zero. */
import { type Device, noGrad, scope } from '../engine/index.ts'
import { trainStep } from '../imagenet/index.ts'
import { SGD } from '../nn/index.ts'
import { dot, map, type Nd, nd } from '../test/reference/nd.ts'
import { close, part, read } from './check.ts'
import { isRecorded, recorded, recordedBatch, recordedNetwork } from './network.ts'
import { features, logits } from './reference_resnet.ts'
import { CONVOLUTIONS } from './resnet152.ts'
import type { Group, Work, Workbench } from './work.ts'

/** As test/nn/resnets.test.ts allows, for the reasons given there. */
const EVAL = { rtol: 1e-5 }
const TRAIN = { rtol: 1e-4 }

/**
 * How far a gradient may be from the recorded one, as a part of its norm. Its jumps at 151 ReLUs put it up to 2e-2 away,
 * as that test says; copies of a batch, summed up in another order, a little more. A wrong one would be away by a whole.
 */
const GRADIENT = 5e-2

const WEIGHT_DECAY = 1e-4

/** The recorded images' size. */
const SMALL = 64

export const resnetGroups = ({ software }: Device): Group[] => [
  { name: 'ResNet-152 forward, batch 1 at 224', prepare: (bench) => [largeForward(bench, 1)] },
  {
    name: `ResNet-152 forward, batch ${software ? 8 : 64} at 64`,
    prepare: (bench) => [smallForward(bench, software ? 8 : 64)],
  },
  ...(software
    ? []
    : [{ name: 'ResNet-152 forward, batch 64 at 224', prepare: (bench: Workbench) => [largeForward(bench, 64)] }]),
  {
    name: `ResNet-152 from zero, batch ${software ? 8 : 64} at 64`,
    prepare: (bench) => training(bench, software ? 8 : 64),
  },
]

/** Operations of the convolutions and of the last layer, for images of `size` pixels a side, a multiple of 32. */
function flopsOf(images: number, size: number): number {
  const convolutions = CONVOLUTIONS.reduce((sum, { channels, outputs, size: full, kernel, stride, layers }) => {
    const outSize = (full / stride) * (size / 224)
    return sum + layers * 2 * outSize ** 2 * kernel ** 2 * channels * outputs
  }, 0)
  return images * (convolutions + 2 * 2048 * 1000)
}

/** Checked against PyTorch's record. */
function smallForward(bench: Workbench, images: number): Work {
  const { net } = recordedNetwork(bench.device)
  const x = bench.keep(recordedBatch(bench.device, images).x)
  net.eval()
  const run = () => noGrad(() => net.call(x))
  bench.whenDone(() => net.free())
  return {
    name: 'forward',
    run,
    flops: flopsOf(images, SMALL),
    check: async () => close(nd([images, 1000], await read(run)), recorded('eval.logits', images / 4), EVAL),
  }
}

/** Checked against the float64 network, in the last image. */
function largeForward(bench: Workbench, images: number): Work {
  const size = 224
  const { net, state } = recordedNetwork(bench.device)
  const x = bench.random('image', [images, size, size, 3])
  net.eval()
  const run = () => noGrad(() => net.call(x.tensor))
  bench.whenDone(() => net.free())
  return {
    name: 'forward',
    run,
    flops: flopsOf(images, size),
    check: async () => {
      const [last, all] = [[images - 1], null]
      const expected = logits(state, features(state, part(x.values, x.shape, [last, all, all, all])))
      close(part(await read(run), [images, 1000], [last, all]), expected, EVAL)
    },
  }
}

function training(bench: Workbench, images: number): Work[] {
  const { device } = bench
  const { net, state } = recordedNetwork(device)
  const { x, labels } = recordedBatch(device, images)
  bench.keep(x)
  net.train()
  // So small a rate that the network stays what it is, however often the step is timed.
  const optimizer = new SGD(net.parameters(), { lr: 1e-9, momentum: 0.9, weightDecay: WEIGHT_DECAY })
  bench.whenDone(() => {
    net.free()
    optimizer.free()
  })
  const forward = () => noGrad(() => net.call(x))
  const step = () => trainStep(device, net, optimizer, { input: () => x, labels })
  return [
    {
      name: 'forward in train mode',
      run: forward,
      flops: flopsOf(images, SMALL),
      check: async () => close(nd([images, 1000], await read(forward)), recorded('train.logits', images / 4), TRAIN),
    },
    {
      name: 'training step',
      run: step,
      // Backwards each product has two gradients; the image needs none, but the stem's share is small.
      flops: 3 * flopsOf(images, SMALL),
      against: 'forward in train mode',
      check: async () => {
        const { loss } = await scope(step)
        close([loss], recorded('train.loss'), TRAIN, 'loss')
        const { tensors } = await optimizer.stateDict()
        for (const [i, [name]] of [...net.namedParameters()].entries()) {
          if (!isRecorded(`train.grad.${name}`)) continue
          // The gradient is forgotten, but a first step leaves it, and the decay, in the momentum.
          const { shape, data } = tensors.get(`state.${i}.momentum_buffer`)!
          const weight = state.get(name)!.data as Float32Array
          const gradient = map(nd(shape, data as Float32Array), (value, at) => value - WEIGHT_DECAY * weight[at])
          const distance = relativeDistance(gradient, recorded(`train.grad.${name}`))
          if (!(distance <= GRADIENT))
            throw new Error(`the gradient of ${name} is ${distance} of its norm away, allowed ${GRADIENT}`)
        }
      },
    },
  ]
}

/** ‖a − b‖ / ‖b‖ */
function relativeDistance(a: Nd, b: Nd): number {
  const difference = map(a, (value, i) => value - b.data[i])
  return Math.sqrt(dot(difference, difference) / dot(b, b))
}
