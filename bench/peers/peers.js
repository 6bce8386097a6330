/** Whom kakuritsu is timed against. */
const ort = (kind) => async (adapter) => (await import('./ort.js')).openOrt(kind, adapter)

export const OURS = 'kakuritsu'

/** `webgpu`: whether it runs on the adapter, so that kakuritsu can be fairly measured by it. */
export const PEERS = {
  [OURS]: { webgpu: true, open: async (adapter) => (await import('./ours.js')).open(adapter) },
  tfjs: { webgpu: true, open: async (adapter) => (await import('./tfjs.js')).open(adapter) },
  'jax-js': { webgpu: true, open: async (adapter) => (await import('./jax.js')).open(adapter) },
  'onnxruntime-web webgpu': { webgpu: true, open: ort('webgpu') },
  'onnxruntime-web wasm, 1 thread': { webgpu: false, open: ort('wasm') },
  'onnxruntime-node cpu': { webgpu: false, open: ort('node') },
}
