// The gradient of x where running statistics, constants, normalised it: dx = dy · weight / √(variance + eps).
//
//   dy, dx: [rows, channels], rows = N·H·W of an NHWC image
//   variance, weight: [channels]
// A thread walks down one step of channels of rowsPerSlice rows, so that it reads their two numbers once.
// Behind width1.wgsl or width4.wgsl. LANES × SLICES threads: channels side by side, so that reads are contiguous, by
// slices of the rows.

struct Params { rows: u32, channels: u32, rowsPerSlice: u32, eps: f32 }

const LANES: u32 = 16;
const SLICES: u32 = 4;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> dy: array<Values>;
@group(0) @binding(2) var<storage, read> variance: array<Values>;
@group(0) @binding(3) var<storage, read> weight: array<Values>;
@group(0) @binding(4) var<storage, read_write> dx: array<Values>;

@compute @workgroup_size(LANES, SLICES)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_id) local: vec3u) {
  let steps = params.channels / WIDTH;
  let step = group.x * LANES + local.x;
  let slice = group.y * SLICES + local.y;
  let first = slice * params.rowsPerSlice;
  if (step >= steps || first >= params.rows) { return; }
  let count = min(params.rowsPerSlice, params.rows - first);
  let scale = weight[step] / sqrt(variance[step] + params.eps);
  var at = first * steps + step;
  for (var row = 0u; row < count; row++) {
    dx[at] = dy[at] * scale;
    at += steps;
  }
}
