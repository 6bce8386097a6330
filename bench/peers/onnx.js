/** The rows as ONNX models, for the two ONNX runtimes. Images are [N, C, H, W], weights [O, I, K, K]. */
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import protobuf from 'protobufjs'
import { foldedNetwork, numbers } from '../../dist/bench/rows.js'
import { oihw } from './layout.js'
import { walkNetwork } from './network.js'

const schema = protobuf.loadSync(join(dirname(fileURLToPath(import.meta.url)), 'onnx.proto'))
const ModelProto = schema.lookupType('onnx.ModelProto')

const FLOAT = 1
const OPSET = 17

/** Collects the nodes and weights of a graph. */
class Graph {
  #nodes = []
  #weights = []
  #names = 0

  weight(shape, data) {
    const name = `w${this.#weights.length}`
    const rawData = new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
    this.#weights.push({ name, dims: shape, dataType: FLOAT, rawData })
    return name
  }

  /** @returns the name of the node's output */
  node(opType, input, attributes = {}, output = `t${this.#names++}`) {
    const attribute = Object.entries(attributes).map(([name, value]) =>
      Array.isArray(value) ? { name, ints: value, type: 7 } : { name, i: value, type: 2 },
    )
    this.#nodes.push({ input, output: [output], opType, attribute })
    return output
  }

  /** The bytes of the model; `inputs` and `output` are shapes by name. */
  model(inputs, output) {
    const value = ([name, shape]) => ({
      name,
      type: { tensorType: { elemType: FLOAT, shape: { dim: shape.map((dimValue) => ({ dimValue })) } } },
    })
    const graph = {
      name: 'row',
      node: this.#nodes,
      initializer: this.#weights,
      input: Object.entries(inputs).map(value),
      output: Object.entries(output).map(value),
    }
    const model = {
      irVersion: 8,
      producerName: 'kakuritsu-bench',
      graph,
      opsetImport: [{ domain: '', version: OPSET }],
    }
    return ModelProto.encode(ModelProto.create(model)).finish()
  }
}

/** @returns the model's bytes, the shape of its input x, and the shape of its output y */
export function modelOf(row) {
  const graph = new Graph()
  switch (row.kind) {
    case 'matmul': {
      const shape = [row.size, row.size]
      graph.node('MatMul', ['x', graph.weight(shape, numbers('b', row.size ** 2))], {}, 'y')
      return { bytes: graph.model({ x: shape }, { y: shape }), input: shape, output: shape }
    }
    case 'conv': {
      const { channels, outputs, size, kernel, stride } = row.shape
      const weight = graph.weight(
        [outputs, channels, kernel, kernel],
        oihw(numbers('weight', kernel ** 2 * channels * outputs), row.shape),
      )
      convolution(graph, ['x', weight], kernel, stride, 'y')
      const [input, output] = [
        [1, channels, size, size],
        [1, outputs, Math.ceil(size / stride), Math.ceil(size / stride)],
      ]
      return { bytes: graph.model({ x: input }, { y: output }), input, output }
    }
    case 'resnet':
      return network(graph, row)
    default:
      return null
  }
}

function convolution(graph, inputs, kernel, stride, output) {
  const padding = (kernel - 1) / 2
  const attributes = {
    kernel_shape: [kernel, kernel],
    strides: [stride, stride],
    pads: [padding, padding, padding, padding],
  }
  return graph.node('Conv', inputs, attributes, output)
}

function network(graph, { images, size }) {
  const { convs, fc } = foldedNetwork()
  const features = walkNetwork('x', {
    conv: (x, name, relu) => {
      const { weight, bias, shape, stride } = convs.get(name)
      const inputs = [x, graph.weight(shape, weight), graph.weight([shape[0]], bias)]
      const y = convolution(graph, inputs, shape[2], stride)
      return relu ? graph.node('Relu', [y]) : y
    },
    addRelu: (a, b) => graph.node('Relu', [graph.node('Add', [a, b])]),
    maxPool: (x) => graph.node('MaxPool', [x], { kernel_shape: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1] }),
    avgPool: (x) => graph.node('Flatten', [graph.node('GlobalAveragePool', [x])]),
    has: (name) => convs.has(name),
  })
  const inputs = [features, graph.weight([1000, 2048], fc.weight), graph.weight([1000], fc.bias)]
  graph.node('Gemm', inputs, { transB: 1 }, 'y')
  const [input, output] = [
    [images, 3, size, size],
    [images, 1000],
  ]
  return { bytes: graph.model({ x: input }, { y: output }), input, output }
}
