// The sums over rows that the gradients of batch normalisation need, over slices of the rows: the first of two passes
// (batchnorm_backward_finish.wgsl is the second). With x̂ = (x − mean) / √(variance + eps):
//
//   x, dy: [rows, channels], rows = N·H·W of an NHWC image
//   mean, variance: [channels]  those that normalised x
//   sums, products: [slices, channels]  Σ dy and Σ dy·x̂ of each slice
// A thread walks down one step of channels of one slice, which has rowsPerSlice rows or, at the end, fewer.
// Behind width1.wgsl or width4.wgsl. LANES × SLICES threads: channels side by side, so that reads are contiguous, by
// slices of the rows.

struct Params { rows: u32, channels: u32, rowsPerSlice: u32, eps: f32 }

const LANES: u32 = 16;
const SLICES: u32 = 4;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Values>;
@group(0) @binding(2) var<storage, read> dy: array<Values>;
@group(0) @binding(3) var<storage, read> mean: array<Values>;
@group(0) @binding(4) var<storage, read> variance: array<Values>;
@group(0) @binding(5) var<storage, read_write> sums: array<Values>;
@group(0) @binding(6) var<storage, read_write> products: array<Values>;

@compute @workgroup_size(LANES, SLICES)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_id) local: vec3u) {
  let steps = params.channels / WIDTH;
  let step = group.x * LANES + local.x;
  let slice = group.y * SLICES + local.y;
  let first = slice * params.rowsPerSlice;
  if (step >= steps || first >= params.rows) { return; }
  let count = min(params.rowsPerSlice, params.rows - first);
  let center = mean[step];
  var at = first * steps + step;
  var sum = Values();
  var product = Values();
  for (var row = 0u; row < count; row++) {
    let d = dy[at];
    sum += d;
    product += d * (x[at] - center);
    at += steps;
  }
  let slot = slice * steps + step;
  sums[slot] = sum;
  products[slot] = product / sqrt(variance[step] + params.eps);
}
