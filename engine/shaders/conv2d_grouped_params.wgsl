// What the kernels of grouped convolution are told. `size` is how many threads have work, in each slice of a sum.

struct Params {
  size: u32,
  height: u32, width: u32, channels: u32,
  outHeight: u32, outWidth: u32, outputs: u32,
  kernelHeight: u32, kernelWidth: u32, groupChannels: u32, groupOutputs: u32,
  stride: u32, padding: u32, dilation: u32,
  // Of gemm_epilogue.wgsl, which follows the forward kernel.
  hasScale: u32, hasBias: u32, hasResidual: u32, relu: u32,
  // Rows (output pixels) that there are, and that one slice of the weight's gradient sums.
  rows: u32, slices: u32, sliceRows: u32,
  firstGroup: u32,
}
