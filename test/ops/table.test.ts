/**
 * Every op against its float64 reference, forward and each gradient, on sizes that no tile divides. A new op adds a row.
 */
import { suite } from 'uvu'
import { Tensor } from '../../engine/index.ts'
import { batchNorm2d } from '../../engine/ops/batchnorm.ts'
import { dropConnectLinear } from '../../engine/ops/dropconnect.ts'
import { dropout } from '../../engine/ops/dropout.ts'
import { add, addRelu, relu, scale } from '../../engine/ops/elementwise.ts'
import { kakuritsuLinear } from '../../engine/ops/kakuritsu.ts'
import { crossEntropy, logSoftmax, nllLoss } from '../../engine/ops/loss.ts'
import { adaptiveAvgPool2d, maxPool2d } from '../../engine/ops/pool.ts'
import { flatten, reshape } from '../../engine/ops/reshape.ts'
import * as batchnorm from '../reference/batchnorm.ts'
import * as dropconnect from '../reference/dropconnect.ts'
import * as dropped from '../reference/dropout.ts'
import * as elementwise from '../reference/elementwise.ts'
import * as kakuritsu from '../reference/kakuritsu.ts'
import * as loss from '../reference/loss.ts'
import { map, type Nd, Random } from '../reference/nd.ts'
import * as pool from '../reference/pool.ts'
import { checkOp, type Row, whole } from './check.ts'

const random = new Random(7)
const test = suite('ops')

function row<Name extends string>(row: Row<Name>): void {
  test(row.name, () => checkOp(row))
}

for (const shape of [[1], [7, 33], [3, 5, 65, 2]]) {
  const [a, b] = [random.normal(shape), random.normal(shape)]
  row({ name: `relu [${shape}]`, inputs: { x: a }, op: ({ x }) => relu(x), reference: ({ x }) => elementwise.relu(x) })
  row({
    name: `add [${shape}]`,
    inputs: { a, b },
    op: ({ a, b }) => add(a, b),
    reference: ({ a, b }) => elementwise.add(a, b),
  })
  row({
    name: `addRelu [${shape}]`,
    inputs: { a, b },
    op: ({ a, b }) => addRelu(a, b),
    reference: ({ a, b }) => elementwise.addRelu(a, b),
  })
}

for (const [shape, factor] of [
  [[7, 33], 1 / 0.3],
  [[3, 5, 65, 2], 0.5],
] as const)
  row({
    name: `scale [${shape}] by ${factor.toPrecision(3)}`,
    inputs: { x: random.normal(shape) },
    op: ({ x }) => scale(x, factor),
    reference: ({ x }) => elementwise.scale(x, factor),
  })

row({
  name: 'reshape',
  inputs: { x: random.normal([3, 7, 2]) },
  op: ({ x }) => reshape(x, [6, 7]),
  reference: ({ x }) => elementwise.reshape(x, [6, 7]),
})
row({
  name: 'flatten',
  inputs: { x: random.normal([3, 5, 1, 7]) },
  op: ({ x }) => flatten(x),
  reference: ({ x }) => elementwise.reshape(x, [3, 35]),
})

for (const shape of [
  [1, 3, 1, 1],
  [1, 7, 5, 3],
  [2, 8, 7, 36],
  [3, 7, 7, 65],
  [2, 33, 35, 132],
]) {
  const channels = [shape[3]]
  const positive = (x: Nd) => map(x, (value) => Math.fround(0.5 + Math.abs(value)))
  const inputs = { x: random.normal(shape), weight: random.normal(channels), bias: random.normal(channels) }
  const [runningMean, runningVar] = [random.normal(channels), positive(random.normal(channels))]
  const statistics = (like: Tensor) => {
    const [mean, variance] = [runningMean, runningVar].map((y) => Tensor.from(like.device, Float32Array.from(y.data)))
    return { runningMean: mean, runningVar: variance }
  }
  const fixed = { runningMean, runningVar, momentum: 0.1, eps: 1e-5 }
  for (const training of [true, false])
    for (const relu of [false, true]) {
      const name = `batchNorm2d ${training ? 'training' : 'evaluating'} [${shape}]${relu ? ', relu' : ''}`
      row({
        name,
        inputs,
        op: ({ x, weight, bias }) => batchNorm2d(x, { weight, bias, ...statistics(x), training, relu }),
        reference: ({ x, ...parameters }) => batchnorm.batchNorm2d(x, { ...parameters, ...fixed, training, relu }),
      })
      row({
        name: `${name}, residual`,
        inputs: { ...inputs, residual: random.normal(shape) },
        op: ({ x, ...parameters }) => batchNorm2d(x, { ...parameters, ...statistics(x), training, relu }),
        reference: ({ x, ...parameters }) => batchnorm.batchNorm2d(x, { ...parameters, ...fixed, training, relu }),
      })
    }
}

for (const [shape, options] of [
  [[1, 1, 1, 1], { kernelSize: 1, stride: 1, padding: 0 }],
  [[2, 7, 9, 65], { kernelSize: 2, stride: 2, padding: 0 }],
  [[3, 15, 14, 33], { kernelSize: 3, stride: 2, padding: 1 }],
  [[1, 11, 8, 68], { kernelSize: 3, stride: 1, padding: 1 }],
  [[2, 13, 13, 3], { kernelSize: 2, stride: 3, padding: 1 }],
  [[1, 9, 33, 7], { kernelSize: 5, stride: 2, padding: 2 }],
] as const)
  row({
    name: `maxPool2d [${shape}] window ${options.kernelSize}, stride ${options.stride}, padding ${options.padding}`,
    // Few distinct values, so that most windows have ties.
    inputs: { x: random.integers(shape, 4) },
    op: ({ x }) => maxPool2d(x, options),
    reference: ({ x }) => pool.maxPool2d(x, options),
  })

for (const [shape, parts] of [
  [
    [1, 1, 1, 1],
    [1, 1],
  ],
  [
    [3, 7, 7, 132],
    [1, 1],
  ],
  [
    [2, 10, 7, 65],
    [3, 4],
  ],
  [
    [1, 3, 5, 36],
    [7, 5],
  ],
] as const)
  row({
    name: `adaptiveAvgPool2d [${shape}] to [${parts}]`,
    inputs: { x: random.normal(shape) },
    op: ({ x }) => adaptiveAvgPool2d(x, parts),
    reference: ({ x }) => pool.adaptiveAvgPool2d(x, parts),
  })

for (const shape of [
  [1, 1],
  [7, 10],
  [33, 65],
  [5, 1000],
]) {
  const x = map(random.normal(shape), (value) => Math.fround(10 * value))
  const labels = random.integers([shape[0]], shape[1])
  row({
    name: `logSoftmax [${shape}]`,
    inputs: { x },
    op: ({ x }) => logSoftmax(x),
    reference: ({ x }) => loss.logSoftmax(x),
  })
  row({
    name: `nllLoss [${shape}]`,
    inputs: { x },
    op: ({ x }) => nllLoss(x, whole(x, labels)),
    reference: ({ x }) => loss.nllLoss(x, labels),
  })
  row({
    name: `crossEntropy [${shape}]`,
    inputs: { x },
    op: ({ x }) => crossEntropy(x, whole(x, labels)),
    reference: ({ x }) => loss.crossEntropy(x, labels),
  })
}

const key = { seed: 1, layer: 2, step: 3 }

for (const [shape, p, sampleOffset] of [
  [[1, 1], 0.5, 0],
  [[7, 33], 0.3, 5],
  [[3, 5, 65], 0.75, 0],
] as const)
  row({
    name: `dropout [${shape}] p = ${p}, from sample ${sampleOffset}`,
    inputs: { x: random.normal(shape) },
    op: ({ x }) => dropout(x, p, { key, sampleOffset }),
    reference: ({ x }) => dropped.dropout(x, p, key, sampleOffset),
  })

for (const maskGradient of ['straight-through', 'exact'] as const)
  for (const [[batch, inputs, cells], p, sampleOffset] of [
    [[1, 1, 1], 0.5, 0],
    [[7, 33, 10], 0.3, 0],
    [[2, 65, 33], 0.5, 3],
    [[19, 130, 70], 0.9, 6],
    [[67, 132, 36], 0.5, 0],
    [[20, 68, 40], 0.3, 13],
    [[5, 7, 1030], 0.25, 1],
    [[3, 9, 5], 0, 0],
    [[3, 9, 5], 1, 0],
  ] as const)
    row({
      name: `kakuritsuLinear [${batch}, ${inputs}] to ${cells}, p = ${p}, ${maskGradient}, from sample ${sampleOffset}`,
      inputs: { x: random.normal([batch, inputs]), weight: random.normal([inputs, cells]) },
      op: ({ x, weight }) => kakuritsuLinear(x, weight, p, { key, maskGradient, sampleOffset }),
      reference: ({ x, weight }) =>
        kakuritsu.kakuritsuLinear(x, weight, { takesPart: kakuritsu.mask(key, p), maskGradient, sampleOffset }),
    })

for (const maskGradient of ['straight-through', 'exact'] as const)
  for (const [[batch, inputs, cells], p] of [
    [[1, 1, 1], 0.5],
    [[7, 33, 10], 0.3],
    [[19, 130, 70], 0.9],
    [[3, 9, 5], 0],
    [[3, 9, 5], 1],
  ] as const)
    row({
      name: `dropConnectLinear [${batch}, ${inputs}] to ${cells}, p = ${p}, ${maskGradient}`,
      inputs: { x: random.normal([batch, inputs]), weight: random.normal([inputs, cells]) },
      op: ({ x, weight }) => dropConnectLinear(x, weight, p, { key, maskGradient }),
      reference: ({ x, weight }) => dropconnect.dropConnectLinear(x, weight, { key, p, maskGradient }),
    })

test.run()
