/**
 * Gives a peer what it looks for in a browser: `navigator.gpu` and `navigator.userAgent`, and WebGPU's constants, all on
 * the adapter that kakuritsu takes.
 */
import { create, globals } from 'webgpu'

/** Dawn's instance; kept, since a device whose instance was collected aborts the process. */
let instance

/** @param {string} adapter its name, as Dawn lists it */
export function pretendBrowser(adapter) {
  Object.assign(globalThis, globals)
  instance = create([`adapter=${adapter}`])
  const navigator = { gpu: instance, userAgent: 'Node.js' }
  Object.defineProperty(globalThis, 'navigator', { value: navigator, configurable: true })
}
