/** jax-js on WebGPU, every row under `jit`. Images [N, C, H, W], weights [O, I, K, K]. */
import { foldedNetwork, numbers, SETTINGS } from '../../dist/bench/rows.js'
import { pretendBrowser } from './gpu.js'
import { oihw, toNchw, toNhwc } from './layout.js'
import { walkNetwork } from './network.js'

export async function open(adapter) {
  pretendBrowser(adapter)
  const { blockUntilReady, defaultDevice, grad, init, jit, lax, nn, numpy: np } = await import('@jax-js/jax')
  if (!(await init('webgpu')).includes('webgpu')) throw new Error('jax-js gave no WebGPU device')
  defaultDevice('webgpu')
  const array = (data, shape) => np.array(data, { shape })
  const random = (name, shape, bound) =>
    array(
      numbers(
        name,
        shape.reduce((product, extent) => product * extent, 1),
        bound,
      ),
      shape,
    )
  const square = (padding) => [
    [padding, padding],
    [padding, padding],
  ]

  /** Repeats a compiled function of arrays, which takes them over: hence the references. */
  const repeated = (compiled, args, layout = (data) => data) => ({
    run: async (repeats) => {
      const run = () => compiled(...args.map((arg) => arg.ref))
      // Arrays are lazy; this computes one, and gives its memory back as soon as that is sent.
      for (let i = 1; i < repeats; i++) run().gpuBufferSync()
      const last = await blockUntilReady(run())
      last.dispose()
    },
    output: async () => {
      const y = compiled(...args.map((arg) => arg.ref))
      const { shape } = y
      return layout(await y.data(), shape)
    },
    free: () => {
      for (const arg of args) arg.dispose()
      compiled.dispose()
    },
  })

  const kinds = {
    matmul: ({ size }) =>
      repeated(
        jit((a, b) => np.matmul(a, b)),
        [random('a', [size, size]), random('b', [size, size])],
      ),
    conv: ({ shape }) => {
      const { channels, outputs, size, kernel, stride } = shape
      const x = array(toNchw(numbers('x', size * size * channels), [1, size, size, channels]), [
        1,
        channels,
        size,
        size,
      ])
      const weight = array(oihw(numbers('weight', kernel ** 2 * channels * outputs), shape), [
        outputs,
        channels,
        kernel,
        kernel,
      ])
      const conv = jit((x, weight) => lax.convGeneralDilated(x, weight, [stride, stride], square((kernel - 1) / 2)))
      return repeated(conv, [x, weight], toNhwc)
    },
    resnet: ({ images, size }) => {
      const { convs, fc } = foldedNetwork()
      const names = [...convs.keys()]
      const forward = jit((x, fcWeight, fcBias, ...layers) => {
        const ops = {
          conv: (x, name, relu) => {
            const { stride, padding } = convs.get(name)
            const at = 2 * names.indexOf(name)
            // A block's input is used once more, by its shortcut.
            const input = /^layer.*conv1$/.test(name) ? x.ref : x
            const y = lax.convGeneralDilated(input, layers[at], [stride, stride], square(padding)).add(layers[at + 1])
            return relu ? nn.relu(y) : y
          },
          addRelu: (a, b) => nn.relu(a.add(b)),
          // What a ReLU gave is not negative: zeros around it never win.
          maxPool: (x) =>
            lax.reduceWindow(
              np.pad(x, [[0, 0], [0, 0], ...square(1)]),
              (window) => np.max(window),
              [1, 1, 3, 3],
              [1, 1, 2, 2],
            ),
          avgPool: (x) => np.mean(x, [2, 3]),
          has: (name) => convs.has(name),
        }
        return np.matmul(walkNetwork(x, ops), fcWeight).add(fcBias)
      })
      const weights = names.flatMap((name) => {
        const { weight, bias, shape } = convs.get(name)
        return [array(weight, [...shape]), array(bias, [shape[0], 1, 1])]
      })
      const x = array(toNchw(numbers('x', images * size * size * 3), [images, size, size, 3]), [images, 3, size, size])
      const fcWeight = np.transpose(array(fc.weight, [1000, 2048]))
      return repeated(forward, [x, fcWeight, array(fc.bias, [1000]), ...weights])
    },
    head: ({ batch, features, cells, classes }) => {
      const x = random('x', [batch, features])
      const labels = np.array(
        Int32Array.from({ length: batch }, (_, i) => (7 * i) % classes),
        { dtype: np.int32 },
      )
      const hot = nn.oneHot(labels, classes)
      const { lr, momentum, weightDecay } = SETTINGS
      const loss = (w1, w2, x, hot) => {
        const logits = np.matmul(nn.relu(np.matmul(x, w1)), w2)
        return nn
          .logSoftmax(logits)
          .mul(hot)
          .sum()
          .mul(-1 / batch)
      }
      const gradients = grad(loss, { argnums: [0, 1] })
      const step = jit((w1, w2, v1, v2, x, hot) => {
        const [g1, g2] = gradients(w1.ref, w2.ref, x, hot)
        const moved = [
          v1.mul(momentum).add(g1).add(w1.ref.mul(weightDecay)),
          v2.mul(momentum).add(g2).add(w2.ref.mul(weightDecay)),
        ]
        const [m1, m2] = moved
        return [w1.sub(m1.ref.mul(lr)), w2.sub(m2.ref.mul(lr)), m1, m2]
      })
      let state = [
        random('li1', [features, cells], 0.1),
        random('li2', [cells, classes], 0.1),
        np.zeros([features, cells]),
        np.zeros([cells, classes]),
      ]
      return {
        run: async (repeats) => {
          for (let i = 0; i < repeats; i++) state = step(...state, x.ref, hot.ref)
          await blockUntilReady(state)
        },
        output: () => state[1].ref.data(),
        free: () => {
          for (const array of [...state, x, hot]) array.dispose()
          step.dispose()
        },
      }
    },
  }
  return { prepare: async (row) => kinds[row.kind](row) }
}
