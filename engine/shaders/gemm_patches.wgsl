// The implicit matrix of a product: row r is the patch of x that output pixel r sees, its columns are (tap, channel).
// Shared by the gemm kernels, which never store that matrix: out = patches(x) · weight.
//
//   x:      [images, height, width, pixelStride] images; a matrix is so many images of one pixel
//   weight: [taps of the whole kernel, depth, columns], or [..., columns, depth] where a kernel says so
//   out:    [images, outHeight, outWidth, columns], written by gemm_epilogue.wgsl
//
// Row r is pixel (h, w) of a grid [images, gridHeight, gridWidth]. Its tap (i, j) of tapsH × tapsW reads x at
// (h · step + offsetH + i · tapStep, w · step + offsetW + j · tapStep), zero outside the image, and multiplies it
// with tap (firstTapH + i · weightTapStep, firstTapW + j · weightTapStep) of the weight. Its sums go to out at
// (h · outStep + outOffsetH, w · outStep + outOffsetW).

struct Params {
  rows: u32, columns: u32, depth: u32,
  pixelStride: u32, // floats from one pixel of x to the next
  height: u32, width: u32, gridHeight: u32, gridWidth: u32,
  step: i32, offsetH: i32, offsetW: i32,
  tapsH: u32, tapsW: u32, tapStep: i32,
  kernelWidth: u32, firstTapH: u32, firstTapW: u32, weightTapStep: u32,
  outHeight: u32, outWidth: u32, outStep: u32, outOffsetH: u32, outOffsetW: u32,
  columnTiles: u32, tiles: u32, firstGroup: u32,
  slices: u32, sliceDepth: u32, // of the depth, all taps and channels in one, where a kernel takes it in slices
  hasScale: u32, hasBias: u32, hasResidual: u32, relu: u32,
}

const OUTSIDE: u32 = 0xffffffff;

// Where a row's patch begins.
struct Origin { image: u32, h: i32, w: i32 }

fn originOf(row: u32) -> Origin {
  let line = row / params.gridWidth;
  let h = i32(line % params.gridHeight);
  let w = i32(row % params.gridWidth);
  return Origin(line / params.gridHeight, h * params.step + params.offsetH, w * params.step + params.offsetW);
}

// The pixel of x under tap (i, j) of the patch, or OUTSIDE.
fn pixelUnder(origin: Origin, i: u32, j: u32) -> u32 {
  let h = u32(origin.h + i32(i) * params.tapStep);
  let w = u32(origin.w + i32(j) * params.tapStep);
  let pixel = (origin.image * params.height + h) * params.width + w;
  return select(OUTSIDE, pixel, h < params.height && w < params.width);
}

fn weightTap(i: u32, j: u32) -> u32 {
  let h = params.firstTapH + i * params.weightTapStep;
  return h * params.kernelWidth + params.firstTapW + j * params.weightTapStep;
}

// The pixel of out that row's sums belong to.
fn outPixel(row: u32) -> u32 {
  let line = row / params.gridWidth;
  let h = (line % params.gridHeight) * params.outStep + params.outOffsetH;
  let w = (row % params.gridWidth) * params.outStep + params.outOffsetW;
  return ((line / params.gridHeight) * params.outHeight + h) * params.outWidth + w;
}
