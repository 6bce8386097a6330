// The gradient of x where running statistics, constants, normalised it: dx = d · weight / √(variance + eps), and of the
// residual: d. Behind batchnorm_normal.wgsl.
//
//   dy, y, dx, dResidual: [rows, channels], rows = N·H·W of an NHWC image
//   normals: [channels / WIDTH] of Normal  those that normalised x
// d is dy, or with relu dy where y > 0 and 0 elsewhere. Without relu y may be any buffer; dResidual is written with
// relu and a residual only.
// A thread walks down one step of channels of rowsPerSlice rows, so that it reads their normal once.
// LANES × SLICES threads: channels side by side, so that reads are contiguous, by slices of the rows.

struct Params { rows: u32, channels: u32, rowsPerSlice: u32, relu: u32, hasResidual: u32 }

const LANES: u32 = 16;
const SLICES: u32 = 4;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> dy: array<Values>;
@group(0) @binding(2) var<storage, read> y: array<Values>;
@group(0) @binding(3) var<storage, read> normals: array<Normal>;
@group(0) @binding(4) var<storage, read_write> dx: array<Values>;
@group(0) @binding(5) var<storage, read_write> dResidual: array<Values>;

@compute @workgroup_size(LANES, SLICES)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_id) local: vec3u) {
  let steps = params.channels / WIDTH;
  let step = group.x * LANES + local.x;
  let slice = group.y * SLICES + local.y;
  let first = slice * params.rowsPerSlice;
  if (step >= steps || first >= params.rows) { return; }
  let count = min(params.rowsPerSlice, params.rows - first);
  let normal = normals[step];
  var at = first * steps + step;
  for (var row = 0u; row < count; row++) {
    var d = dy[at];
    if (params.relu == 1) {
      d = select(d, Values(), y[at] <= Values());
      if (params.hasResidual == 1) { dResidual[at] = d; }
    }
    dx[at] = d * normal.scale;
    at += steps;
  }
}
