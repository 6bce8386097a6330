/** An op was given tensors it cannot take; the message says what was given, what was wanted and what to do. */
export class ShapeError extends Error {
  override name = 'ShapeError'
}

/** The GPU refused or failed a command: a validation error, a lost device, or memory that could not be had. */
export class GpuError extends Error {
  override name = 'GpuError'
}

/** `[8, 224, 224, 3]`, as every message prints a shape. */
export const show = (shape: readonly number[]): string => `[${shape.join(', ')}]`
