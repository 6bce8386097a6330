/** kakuritsu itself, as a peer among peers. */

import { recordedNetwork } from '../../dist/bench/network.js'
import { numbers, SETTINGS } from '../../dist/bench/rows.js'
import { conv2d, matmul, noGrad, scope, Tensor } from '../../dist/engine.js'
import { openDevice, trainStep } from '../../dist/imagenet.js'
import { Generator, head, SGD } from '../../dist/nn.js'

export async function open(adapter) {
  const device = await openDevice({ gpu: adapter })
  const tensor = (name, shape, bound) =>
    Tensor.from(
      device,
      numbers(
        name,
        shape.reduce((product, extent) => product * extent, 1),
        bound,
      ),
      shape,
    )

  /** Repeats an op; its result is read with `output`. */
  const repeated = (op, kept, free = () => {}) => ({
    run: async (repeats) => {
      for (let i = 0; i < repeats; i++)
        // A result that it returned would outlive the scope.
        scope(() => {
          noGrad(op)
        })
      await device.idle()
    },
    output: () => scope(() => noGrad(() => op().read())),
    free: () => {
      for (const tensor of kept) tensor.release()
      free()
    },
  })

  const kinds = {
    matmul: ({ size }) => {
      const [a, b] = [tensor('a', [size, size]), tensor('b', [size, size])]
      return repeated(() => matmul(a, b), [a, b])
    },
    conv: ({ shape: { channels, outputs, size, kernel, stride } }) => {
      const [x, weight] = [
        tensor('x', [1, size, size, channels]),
        tensor('weight', [kernel, kernel, channels, outputs]),
      ]
      const options = { stride, padding: (kernel - 1) / 2 }
      return repeated(() => conv2d(x, weight, options), [x, weight])
    },
    resnet: ({ images, size }) => {
      const { net } = recordedNetwork(device)
      net.eval()
      const x = tensor('x', [images, size, size, 3])
      return repeated(
        () => net.call(x),
        [x],
        () => net.free(),
      )
    },
    head: ({ batch, features, cells, classes }) => {
      const model = head('White', { features, classes, hidden: cells, generator: new Generator(0) })
      model.li1.weight.init = (data) => data.set(numbers('li1', data.length, 0.1))
      model.li2.weight.init = (data) => data.set(numbers('li2', data.length, 0.1))
      model.to(device)
      const optimizer = new SGD(model.parameters(), SETTINGS)
      const x = tensor('x', [batch, features])
      const labels = Uint32Array.from({ length: batch }, (_, i) => (7 * i) % classes)
      return {
        run: async (repeats) => {
          const results = []
          for (let i = 0; i < repeats; i++)
            results.push(trainStep(device, model, optimizer, { input: () => x, labels }))
          await Promise.all(results)
          await device.idle()
        },
        output: () => model.li2.weight.tensor.read(),
        free: () => {
          x.release()
          optimizer.free()
          model.free()
        },
      }
    },
  }
  return { prepare: async (row) => kinds[row.kind](row) }
}
