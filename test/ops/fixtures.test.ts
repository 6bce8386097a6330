/**
 * Every operator against what PyTorch 1.13.1 computed, forward and each gradient. The files hold images as NCHW, weights
 * as OIHW and [out, in]; here they are NHWC, HWIO and [in, out].
 */
import { readFileSync } from 'node:fs'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { backward, scope, type Tensor } from '../../engine/index.ts'
import { batchNorm2d } from '../../engine/ops/batchnorm.ts'
import { conv2d } from '../../engine/ops/conv2d.ts'
import { addRelu, relu } from '../../engine/ops/elementwise.ts'
import { crossEntropy } from '../../engine/ops/loss.ts'
import { linear } from '../../engine/ops/matmul.ts'
import { adaptiveAvgPool2d, maxPool2d } from '../../engine/ops/pool.ts'
import { readSafetensors } from '../../nn/formats/safetensors.ts'
import { close, type Nd, nd, permute } from '../reference/nd.ts'
import { tensor, whole } from './check.ts'

/**
 * Both sides round in float32 and add in another order. The longest sums, the gradients of convolution weights, have
 * 600 terms, whose roundings of 6e-8 grow as √600 where they cancel, to 1.5e-6; a few times that is allowed.
 */
const TOLERANCE = { rtol: 1e-5 }

interface Case {
  name: string
  op: string
  inputs: string[]
  attrs: Attributes
}

/** How a row of ops.json is run: each input by name, as a tensor. */
type Inputs = Record<string, Tensor>
type Attributes = Record<string, number> & { training?: boolean }

const ops: Record<string, (inputs: Inputs, attrs: Attributes) => Tensor> = {
  conv2d: ({ x, weight, bias }, attrs) => conv2d(x, weight, { bias, ...attrs }),
  linear: ({ x, weight, bias }) => linear(x, weight, bias),
  batchnorm2d: ({ x, weight, bias, running_mean, running_var }, { training, momentum, eps }) =>
    batchNorm2d(x, {
      weight,
      bias,
      runningMean: running_mean,
      runningVar: running_var,
      training: training!,
      momentum,
      eps,
    }),
  maxpool2d: ({ x }, { kernel, stride, padding }) => maxPool2d(x, { kernelSize: kernel, stride, padding }),
  adaptive_avgpool2d: ({ x }, { output }) => adaptiveAvgPool2d(x, [output, output]),
  relu: ({ x }) => relu(x),
  add_relu: ({ x, residual }) => addRelu(x, residual),
  cross_entropy: ({ x, labels }) => crossEntropy(x, labels),
}

const { tensors } = readSafetensors(readFileSync('test/fixtures/ops.safetensors'))
const cases: Case[] = JSON.parse(readFileSync('test/fixtures/ops.json', 'utf8'))
const test = suite('PyTorch')

/** A recorded array in this engine's layout. */
function recorded(name: string): Nd {
  const { shape, data } = tensors.get(name)!
  const x = nd(shape, Array.from(data as ArrayLike<number | bigint>, Number))
  if (name.endsWith('weight')) return shape.length === 1 ? x : permute(x, shape.length === 4 ? [2, 3, 1, 0] : [1, 0])
  return shape.length === 4 ? permute(x, [0, 2, 3, 1]) : x
}

for (const { name, op, inputs, attrs } of cases)
  test(name, async () => {
    const run = ops[op]
    assert.ok(run, `no op for '${op}'`)
    const state = ['running_mean', 'running_var'].filter((part) => tensors.has(`${name}.${part}`))
    const gpu: Inputs = {}
    for (const part of [...inputs, ...state, 'd_out']) {
      const x = recorded(`${name}.${part}`)
      gpu[part] = part === 'labels' ? whole(gpu.x, x) : await tensor(x)
      gpu[part].requiresGrad = tensors.has(`${name}.d_${part}`)
    }
    const out = scope(() => {
      const out = run(gpu, attrs)
      backward(out, gpu.d_out)
      return out.read()
    })
    close(await out, recorded(`${name}.out`), TOLERANCE, 'output')
    for (const part of inputs.filter((part) => gpu[part].requiresGrad))
      close(await gpu[part].grad!.read(), recorded(`${name}.d_${part}`), TOLERANCE, `gradient of ${part}`)
    for (const part of state) close(await gpu[part].read(), recorded(`${name}.${part}_after`), TOLERANCE, part)
  })

test.run()
