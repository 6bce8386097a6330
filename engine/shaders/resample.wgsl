// What the two passes of resampling share: where an image's pixels and weights are, and how weights are stored.

// In this order of words, as engine/ops/resample.ts has them.
struct Image {
  // Word in pixels at which the image begins, pixels a row, rows.
  pixels: u32,
  width: u32,
  rows: u32,
  // Word in filters at which the filters of output columns begin, and the weights that there is room for in each.
  across: u32,
  acrossTaps: u32,
  // The same of output rows.
  down: u32,
  downTaps: u32,
  // Rows of the images before it.
  firstRow: u32,
  // 1: left and right are to change places.
  mirrored: u32,
}

// Fraction bits of a weight: Pillow's 32 - 8 - 2.
const PRECISION_BITS: u32 = 22;
const HALF: u32 = 1 << (PRECISION_BITS - 1);
