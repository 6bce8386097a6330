/**
 * ONNX Runtime: onnxruntime-web on WebGPU, onnxruntime-web in WebAssembly on one thread, and onnxruntime-node, native on
 * the CPU. They run the models of onnx.js: images [N, C, H, W]. They cannot train, so they have no head step.
 */
import { numbers } from '../../dist/bench/rows.js'
import { pretendBrowser } from './gpu.js'
import { toNchw, toNhwc } from './layout.js'
import { modelOf } from './onnx.js'

/** @param {'webgpu' | 'wasm' | 'node'} kind */
export async function openOrt(kind, adapter) {
  if (kind === 'webgpu') {
    pretendBrowser(adapter)
    copySharedViews()
  }
  const ort = await import(MODULES[kind])
  if (kind !== 'node') ort.env.wasm.numThreads = 1
  const options = {
    webgpu: { executionProviders: ['webgpu'], preferredOutputLocation: 'gpu-buffer' },
    wasm: { executionProviders: ['wasm'] },
    node: { executionProviders: ['cpu'] },
  }[kind]
  return {
    prepare: async (row) => {
      const model = modelOf(row)
      if (!model) return null
      const session = await ort.InferenceSession.create(model.bytes, options)
      const feeds = { x: new ort.Tensor('float32', inputOf(model.input), model.input) }
      const once = async () => (await session.run(feeds)).y
      return {
        run: async (repeats) => {
          let y
          for (let i = 0; i < repeats; i++) {
            y?.dispose()
            y = await once()
          }
          if (kind === 'webgpu') await (await ort.env.webgpu.device).queue.onSubmittedWorkDone()
          y?.dispose()
        },
        output: async () => {
          const y = await once()
          const data = await y.getData()
          return model.output.length === 4 ? toNhwc(data, model.output) : data
        },
        free: () => session.release(),
      }
    },
  }
}

const MODULES = { webgpu: 'onnxruntime-web/webgpu', wasm: 'onnxruntime-web/wasm', node: 'onnxruntime-node' }

/** The row's x, made as [N, H, W, C], or as a matrix. */
function inputOf(shape) {
  const count = shape.reduce((product, extent) => product * extent, 1)
  if (shape.length === 2) return numbers('a', count)
  const [n, c, h, w] = shape
  return toNchw(numbers('x', count), [n, h, w, c])
}

/**
 * WebAssembly's memory is a SharedArrayBuffer here, on views of which Dawn's bindings crash: `writeBuffer` is given a copy.
 */
function copySharedViews() {
  const { writeBuffer } = GPUQueue.prototype
  GPUQueue.prototype.writeBuffer = function (buffer, bufferOffset, data, dataOffset = 0, size = undefined) {
    const shared = data instanceof SharedArrayBuffer || data.buffer instanceof SharedArrayBuffer
    if (!shared) return writeBuffer.call(this, buffer, bufferOffset, data, dataOffset, size)
    // Offsets and sizes count elements of a view, and bytes of a buffer.
    const view = data instanceof SharedArrayBuffer ? new Uint8Array(data) : data
    const copy = view.slice(dataOffset, size === undefined ? undefined : dataOffset + size)
    return writeBuffer.call(this, buffer, bufferOffset, copy)
  }
}
