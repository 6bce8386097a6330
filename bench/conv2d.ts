/** Convolution at ResNet-152's shapes: forward, and the gradients of image and weight against it. */
import { conv2d, noGrad } from '../engine/index.ts'
import { conv2d as reference } from '../test/reference/conv2d.ts'
import { nd, Random } from '../test/reference/nd.ts'
import { close, part, read, some, sumOf } from './check.ts'
import { CONVOLUTIONS, type ConvShape, describe } from './resnet152.ts'
import { type Family, gradientOf, type Work, type Workbench } from './work.ts'

/** Images and channels that a result is checked in: whole planes of them, so that every border is among them. */
const CHECKED = { images: 1, channels: 2 }

export const conv2dFamily: Family = {
  name: 'conv2d',
  groups: ({ software }) =>
    (software ? [1, 8] : [1, 64]).flatMap((images) =>
      CONVOLUTIONS.map((shape) => ({
        name: `${describe(shape)}, batch ${images}`,
        prepare: (bench: Workbench) => works(bench, shape, images),
      })),
    ),
}

function works(bench: Workbench, shape: ConvShape, images: number): Work[] {
  const { channels, outputs, size, kernel, stride } = shape
  const options = { stride, padding: (kernel - 1) / 2 }
  const outSize = Math.ceil(size / stride)
  const x = bench.random('x', [images, size, size, channels])
  const weight = bench.random('weight', [kernel, kernel, channels, outputs])
  const dy = bench.random('dy', [images, outSize, outSize, outputs])
  const flops = 2 * images * outSize * outSize * outputs * kernel * kernel * channels

  const forward = () => noGrad(() => conv2d(x.tensor, weight.tensor, options))
  const [dataGradient, weightGradient] = [0, 1].map((which) =>
    gradientOf(bench, [x.tensor, weight.tensor], which, dy.tensor, ([x, weight]) => conv2d(x, weight, options)),
  )

  const random = new Random(images)
  const [image] = some(random, images, CHECKED.images).map((n) => [n])
  const [ins, outs] = [channels, outputs].map((count) => some(random, count, CHECKED.channels))
  const all = null
  return [
    {
      name: 'forward',
      run: forward,
      flops,
      check: async () => {
        const [xPart, weightPart] = [
          part(x.values, x.shape, [image, all, all, all]),
          part(weight.values, weight.shape, [all, all, all, outs]),
        ]
        const actual = part(await read(forward), dy.shape, [image, all, all, outs])
        close(actual, reference(xPart, weightPart, undefined, options).out, sumOf(kernel * kernel * channels))
      },
    },
    {
      name: 'data gradient',
      run: dataGradient,
      flops,
      against: 'forward',
      check: async () => {
        const weightPart = part(weight.values, weight.shape, [all, all, ins, all])
        const { backward } = reference(nd([1, size, size, ins.length]), weightPart, undefined, options)
        const actual = part(await read(dataGradient), x.shape, [image, all, all, ins])
        const expected = backward(part(dy.values, dy.shape, [image, all, all, all])).x
        close(actual, expected, sumOf(kernel * kernel * outputs))
      },
    },
    {
      name: 'weight gradient',
      run: weightGradient,
      flops,
      against: 'forward',
      check: async () => {
        const xPart = part(x.values, x.shape, [all, all, all, ins])
        const { backward } = reference(xPart, nd([kernel, kernel, ins.length, outs.length]), undefined, options)
        const actual = part(await read(weightGradient), weight.shape, [all, all, ins, outs])
        const expected = backward(part(dy.values, dy.shape, [all, all, all, outs])).weight
        close(actual, expected, sumOf(images * outSize * outSize))
      },
    },
  ]
}
