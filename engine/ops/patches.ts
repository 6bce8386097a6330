/** The geometry of implicit GEMM: which pixels the rows of a product see. gemm_patches.wgsl is the other half of it. */

/**
 * Row (h, w) of each image's grid sees, under tap (i, j), pixel (h · step + offsetH + i · tapStep, w · step + offsetW +
 * j · tapStep) of that image, zero where there is none.
 */
export interface Patches {
  /** Of an image of x. */
  height: number
  width: number
  /** Floats from one pixel to the next. */
  pixelStride: number
  gridHeight: number
  gridWidth: number
  step: number
  offsetH: number
  offsetW: number
  tapsH: number
  tapsW: number
  tapStep: number
}

/**
 * Tap (i, j) of the patches meets tap (firstTapH + i · weightTapStep, firstTapW + j · weightTapStep) of the weight, and
 * row (h, w) is pixel (h · outStep + outOffsetH, w · outStep + outOffsetW) of the output.
 */
export interface Placement {
  kernelWidth: number
  firstTapH: number
  firstTapW: number
  weightTapStep: number
  outHeight: number
  outWidth: number
  outStep: number
  outOffsetH: number
  outOffsetW: number
}

/** The rows of a matrix [rows, depth] as patches of images of one pixel. */
export const matrixRows = (depth: number): Patches => ({
  height: 1,
  width: 1,
  pixelStride: depth,
  gridHeight: 1,
  gridWidth: 1,
  step: 1,
  offsetH: 0,
  offsetW: 0,
  tapsH: 1,
  tapsW: 1,
  tapStep: 1,
})

/** The same matrix as one image of one line, for a sum over its rows. */
export const matrixLine = (rows: number, depth: number): Patches => ({
  ...matrixRows(depth),
  width: rows,
  gridWidth: rows,
})

/** Images of which each row sees its own pixel alone, as in a 1 × 1 convolution, as one image of one line of `rows`. */
export function asOneLine(patches: Patches, rows: number): Patches {
  const { height, width, gridHeight, gridWidth, tapsH, tapsW, step, offsetH, offsetW, pixelStride } = patches
  const ownPixel = tapsH === 1 && tapsW === 1 && step === 1 && offsetH === 0 && offsetW === 0
  return ownPixel && gridHeight === height && gridWidth === width ? matrixLine(rows, pixelStride) : patches
}

/** Every tap meets its own, every row is its own pixel. */
export const everywhere = ({ tapsW, gridHeight, gridWidth }: Patches): Placement => ({
  kernelWidth: tapsW,
  firstTapH: 0,
  firstTapW: 0,
  weightTapStep: 1,
  outHeight: gridHeight,
  outWidth: gridWidth,
  outStep: 1,
  outOffsetH: 0,
  outOffsetW: 0,
})

/** The same product without the taps that lie outside the image for every row, as most of 3 × 3 do on a single pixel. */
export function withoutPadding(patches: Patches, placement: Placement): { patches: Patches; placement: Placement } {
  const { height, width, gridHeight, gridWidth, step, offsetH, offsetW, tapStep } = patches
  const { firstTapH, firstTapW, weightTapStep } = placement
  const h = tapsInside(patches.tapsH, tapStep, offsetH, gridHeight, step, height)
  const w = tapsInside(patches.tapsW, tapStep, offsetW, gridWidth, step, width)
  return {
    patches: {
      ...patches,
      tapsH: h.count,
      tapsW: w.count,
      offsetH: offsetH + h.first * tapStep,
      offsetW: offsetW + w.first * tapStep,
    },
    placement: {
      ...placement,
      firstTapH: firstTapH + h.first * weightTapStep,
      firstTapW: firstTapW + w.first * weightTapStep,
    },
  }
}

/** The taps, along one axis, under which any of `grid` patches finds one of `size` pixels: `count` from `first` on. */
function tapsInside(taps: number, tapStep: number, offset: number, grid: number, step: number, size: number) {
  const inside = Array.from({ length: taps }, (_, tap) => {
    const start = offset + tap * tapStep
    const patch = Math.max(0, Math.ceil(-start / step)) // the first at or beyond the first pixel
    return patch < grid && start + patch * step < size
  })
  const first = Math.max(0, inside.indexOf(true))
  return { first, count: inside.lastIndexOf(true) + 1 - first }
}
