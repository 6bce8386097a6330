/** Pillow's MAX_IMAGE_PIXELS, a quarter of a gibibyte of 3-byte pixels; no picture of ImageNet comes near it. */
export const MAX_PIXELS = Math.floor(2 ** 30 / 4 / 3)

/**
 * Refuses a size from a file's header before any memory is taken for it.
 *
 * @param minimumBytes the least that the format's compression could make of so many pixels
 * @throws Error for an empty image, one of more than `MAX_PIXELS`, and one that the file is too short to hold
 */
export function checkSize(width: number, height: number, fileBytes: number, minimumBytes: number): void {
  const claim = `its header claims ${width}×${height} pixels`
  if (width === 0 || height === 0) throw new Error(claim)
  if (width * height > MAX_PIXELS) throw new Error(`${claim}, more than the ${MAX_PIXELS} accepted`)
  if (fileBytes < minimumBytes) throw new Error(`${claim}, more than its ${fileBytes} bytes can hold`)
}

/** Runs a decoding library, whose own errors speak of its inner workings. @throws Error that calls the file damaged */
export function blameFile<T>(decodeIt: () => T): T {
  try {
    const result = decodeIt()
    return result instanceof Promise ? (result.catch(blame) as T) : result
  } catch (error) {
    return blame(error)
  }
}

function blame(error: unknown): never {
  throw new Error(error instanceof TypeError ? 'it is damaged' : `it is damaged (${(error as Error).message})`)
}
