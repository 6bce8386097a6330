// What the gemm_over_rows kernels are told and bind: out = patches(x)ᵀ · dy, a sum over all output pixels.
//
//   x:   [images, height, width, channels]
//   dy:  [images, gridHeight, gridWidth, columns]
//   out: [slices, taps × channels, columns]; slice s sums rows [s, s + 1) · sliceRows of dy

struct Params {
  // How many elements a patch has: tap (i, j), counted in lines of tapsW, channel c.
  elements: u32, columns: u32,
  rows: u32, sliceRows: u32,
  channels: u32, height: u32, width: u32, gridHeight: u32, gridWidth: u32,
  step: i32, offsetH: i32, offsetW: i32, tapStep: i32, tapsW: u32,
  columnTiles: u32, tiles: u32, // tiles of a slice
  slices: u32, firstGroup: u32,
}
