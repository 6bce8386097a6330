/** A model's first step before its first step. */
import { type Device, rehearse } from '../engine/index.ts'
import type { Module } from './module.ts'
import { Counter } from './variable.ts'

/**
 * `rehearse` for an act with a model and its optimizer: parameters, running statistics and what the optimizer keeps stay
 * as they are, since nothing is computed, and the model's counters are put back. Gradients that the act left are undefined.
 * @throws GpuError when a kernel does not compile
 */
export function rehearseModel(device: Device, model: Module, act: () => void): Promise<void> {
  const counters = [...model.namedBuffers()].flatMap(([, buffer]) => (buffer instanceof Counter ? [buffer] : []))
  const counts = counters.map(({ value }) => value)
  const rehearsal = rehearse(device, act)
  for (const [i, counter] of counters.entries()) counter.value = counts[i]
  return rehearsal
}
