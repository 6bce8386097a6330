// The sums over rows that the gradients of batch normalisation need, over slices of the rows: the first of two passes
// (batchnorm_backward_finish.wgsl is the second). With x̂ = (x − mean) / √(variance + eps):
//
//   x, dy: [rows, channels], rows = N·H·W of an NHWC image
//   mean, variance: [channels]  those that normalised x
//   sums, products: [slices, channels]  Σ dy and Σ dy·x̂ of each slice
// A thread makes one element of sums and products: it walks down one channel of one slice of rowsPerSlice rows.
// LANES: channels that a workgroup takes side by side, so that its reads are contiguous.

struct Params { rows: u32, channels: u32, rowsPerSlice: u32, eps: f32 }

const LANES: u32 = 64;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> dy: array<f32>;
@group(0) @binding(3) var<storage, read> mean: array<f32>;
@group(0) @binding(4) var<storage, read> variance: array<f32>;
@group(0) @binding(5) var<storage, read_write> sums: array<f32>;
@group(0) @binding(6) var<storage, read_write> products: array<f32>;

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let channel = group.x * LANES + lane;
  if (channel >= params.channels) { return; }
  let first = group.y * params.rowsPerSlice;
  let count = min(params.rowsPerSlice, params.rows - first);
  let center = mean[channel];
  var at = first * params.channels + channel;
  var sum = 0.0;
  var product = 0.0;
  for (var row = 0u; row < count; row++) {
    let d = dy[at];
    sum += d;
    product += d * (x[at] - center);
    at += params.channels;
  }
  let slot = group.y * params.channels + channel;
  sums[slot] = sum;
  products[slot] = product / sqrt(variance[channel] + params.eps);
}
