// out = (x − mean) / √(variance + eps) · weight + bias, by channel.
//
//   x, out: [rows, channels], rows = N·H·W of an NHWC image
//   mean, variance, weight, bias: [channels]
// A thread walks down one step of channels of rowsPerSlice rows, so that it reads their four numbers once.
// Behind width1.wgsl or width4.wgsl. LANES × SLICES threads: channels side by side, so that reads are contiguous, by
// slices of the rows.

struct Params { rows: u32, channels: u32, rowsPerSlice: u32, eps: f32 }

const LANES: u32 = 16;
const SLICES: u32 = 4;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Values>;
@group(0) @binding(2) var<storage, read> mean: array<Values>;
@group(0) @binding(3) var<storage, read> variance: array<Values>;
@group(0) @binding(4) var<storage, read> weight: array<Values>;
@group(0) @binding(5) var<storage, read> bias: array<Values>;
@group(0) @binding(6) var<storage, read_write> out: array<Values>;

@compute @workgroup_size(LANES, SLICES)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_id) local: vec3u) {
  let steps = params.channels / WIDTH;
  let step = group.x * LANES + local.x;
  let slice = group.y * SLICES + local.y;
  let first = slice * params.rowsPerSlice;
  if (step >= steps || first >= params.rows) { return; }
  let count = min(params.rowsPerSlice, params.rows - first);
  let center = mean[step];
  let scale = weight[step] / sqrt(variance[step] + params.eps);
  let shift = bias[step];
  var at = first * steps + step;
  for (var row = 0u; row < count; row++) {
    // Not x·scale + (shift − center·scale): with a mean far from 0 that subtracts two large numbers.
    out[at] = (x[at] - center) * scale + shift;
    at += steps;
  }
}
