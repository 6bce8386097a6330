/** An op was given tensors it cannot take; the message says what was given, what was wanted and what to do. */
export class ShapeError extends Error {
  override name = 'ShapeError'
}

/** The GPU refused or failed a command: a validation error, a lost device, or memory that could not be had. */
export class GpuError extends Error {
  override name = 'GpuError'
}

/** The device is gone: a driver crashed or was reset, or a GPU was taken away. A new one may be had. */
export class DeviceLostError extends GpuError {
  override name = 'DeviceLostError'
}

/** The GPU has no memory for a tensor. */
export class OutOfMemoryError extends GpuError {
  override name = 'OutOfMemoryError'
  /** What there was no memory for: `a tensor [64, 112, 112, 64], 205520896 bytes`. */
  readonly what: string
  /** What is wrong with it: `the GPU has no memory left`. */
  readonly reason: string

  constructor(what: string, reason: string) {
    super(`${reason} for ${what}: lower the batch size or the image size`)
    this.what = what
    this.reason = reason
  }
}

/** `[8, 224, 224, 3]`, as every message prints a shape. */
export const show = (shape: readonly number[]): string => `[${shape.join(', ')}]`
