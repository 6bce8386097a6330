/** In what a frozen base computes. */
import { type Device, hasHalf } from '../../engine/index.ts'
import type { Module } from '../../nn/index.ts'
import { UsageError } from '../errors.ts'
import { describeAdapter } from './open.ts'

/** f16: weights and activations of half the memory, to three decimal digits; sums stay in f32. */
export const PRECISIONS = ['f32', 'f16'] as const
export type Precision = (typeof PRECISIONS)[number]

/**
 * Brings a base, which is not on the device yet, to a precision; f16 freezes it.
 * @throws UsageError when the device cannot compute in it
 */
export function setPrecision(base: Module, precision: Precision, device: Device): void {
  if (precision === 'f32') return
  if (!hasHalf(device))
    throw new UsageError(
      `--precision f16: ${describeAdapter(device).name} does not compute in half precision (it has no shader-f16): leave it out`,
    )
  base.half()
}
