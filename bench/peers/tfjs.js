/** TensorFlow.js on its WebGPU backend. Images [N, H, W, C], weights [K, K, I, O], as kakuritsu has them. */
import { createRequire } from 'node:module'
import { foldedNetwork, numbers, SETTINGS } from '../../dist/bench/rows.js'
import { pretendBrowser } from './gpu.js'
import { hwio } from './layout.js'
import { walkNetwork } from './network.js'

export async function open(adapter) {
  pretendBrowser(adapter)
  // Its modules for Node are CommonJS.
  const require = createRequire(import.meta.url)
  const tf = require('@tensorflow/tfjs')
  require('@tensorflow/tfjs-backend-webgpu')
  if (!(await tf.setBackend('webgpu'))) throw new Error('tfjs gave no WebGPU backend')
  const backend = tf.backend()
  const tensor = (name, shape, bound) => tf.tensor(numbers(name, tf.util.sizeFromShape(shape), bound), shape)

  /** It collects commands in a pass of its own: unless that is ended and sent, waiting waits for nothing. */
  async function idle() {
    if (backend.commandEncoder) {
      backend.endComputePassEncoder()
      backend.submitQueue()
    }
    await backend.queue.onSubmittedWorkDone()
  }

  const repeated = (op, kept) => ({
    run: async (repeats) => {
      for (let i = 0; i < repeats; i++) tf.dispose(tf.tidy(op))
      await idle()
    },
    output: async () => {
      const y = tf.tidy(op)
      const data = await y.data()
      y.dispose()
      return data
    },
    free: () => tf.dispose(kept),
  })

  const kinds = {
    matmul: ({ size }) => {
      const [a, b] = [tensor('a', [size, size]), tensor('b', [size, size])]
      return repeated(() => tf.matMul(a, b), [a, b])
    },
    conv: ({ shape: { channels, outputs, size, kernel, stride } }) => {
      const [x, weight] = [
        tensor('x', [1, size, size, channels]),
        tensor('weight', [kernel, kernel, channels, outputs]),
      ]
      return repeated(() => tf.conv2d(x, weight, stride, (kernel - 1) / 2, 'NHWC', 1, 'floor'), [x, weight])
    },
    resnet: ({ images, size }) => {
      const x = tensor('x', [images, size, size, 3])
      const { convs, fc } = foldedNetwork()
      const layers = new Map()
      for (const [name, { weight, bias, shape, stride, padding }] of convs) {
        const [outputs, channels, kernel] = shape
        const filter = tf.tensor(hwio(weight, shape), [kernel, kernel, channels, outputs])
        layers.set(name, { filter, bias: tf.tensor(bias), strides: stride, pad: padding })
      }
      const [weight, bias] = [tf.tensor(fc.weight, [1000, 2048]), tf.tensor(fc.bias)]
      const ops = {
        conv: (x, name, relu) =>
          tf.fused.conv2d({ x, ...layers.get(name), dimRoundingMode: 'floor', activation: relu ? 'relu' : 'linear' }),
        addRelu: (a, b) => tf.relu(tf.add(a, b)),
        maxPool: (x) => tf.maxPool(x, 3, 2, 1, 'floor'),
        avgPool: (x) => tf.mean(x, [1, 2]),
        has: (name) => layers.has(name),
      }
      const kept = [x, weight, bias, ...[...layers.values()].flatMap(({ filter, bias }) => [filter, bias])]
      return repeated(() => tf.add(tf.matMul(walkNetwork(x, ops), weight, false, true), bias), kept)
    },
    head: ({ batch, features, cells, classes }) => {
      const x = tensor('x', [batch, features])
      const labels = tf.tensor1d(
        Int32Array.from({ length: batch }, (_, i) => (7 * i) % classes),
        'int32',
      )
      const weights = [tensor('li1', [features, cells], 0.1), tensor('li2', [cells, classes], 0.1)].map((w) =>
        tf.variable(w),
      )
      const velocities = weights.map(({ shape }) => tf.variable(tf.zeros(shape)))
      const { lr, momentum, weightDecay } = SETTINGS
      const loss = (w1, w2) =>
        tf.losses.softmaxCrossEntropy(tf.oneHot(labels, classes), tf.matMul(tf.relu(tf.matMul(x, w1)), w2))
      const gradients = tf.grads(loss)
      const step = () =>
        tf.tidy(() =>
          gradients(weights).forEach((grad, i) => {
            velocities[i].assign(velocities[i].mul(momentum).add(grad).add(weights[i].mul(weightDecay)))
            weights[i].assign(weights[i].sub(velocities[i].mul(lr)))
          }),
        )
      return {
        run: async (repeats) => {
          for (let i = 0; i < repeats; i++) step()
          await idle()
        },
        output: () => weights[1].data(),
        free: () => tf.dispose([x, labels, ...weights, ...velocities]),
      }
    },
  }
  return { prepare: async (row) => kinds[row.kind](row) }
}
