// What the gemm_over_rows kernels are told and bind: patches(x)ᵀ · dy, a sum over all output pixels.
//
//   x:   [images, height, width, channels]
//   dy:  [images, gridHeight, gridWidth, columns]
//   the result: [slices, taps × channels, columns]; slice s sums rows [s, s + 1) · sliceRows of dy. What becomes of it say
//   gemm_over_rows_store.wgsl and gemm_over_rows_move.wgsl.

struct Params {
  // How many elements a patch has: tap (i, j), counted in lines of tapsW, channel c.
  elements: u32, columns: u32,
  rows: u32, sliceRows: u32,
  channels: u32, height: u32, width: u32, gridHeight: u32, gridWidth: u32,
  step: i32, offsetH: i32, offsetW: i32, tapStep: i32, tapsW: u32,
  columnTiles: u32, tiles: u32, // tiles of a slice
  slices: u32, firstGroup: u32,
  lr: f32, momentum: f32, weightDecay: f32, // of gemm_over_rows_move.wgsl
}
