// out = (x − mean) / √(variance + eps) · weight + bias by channel, then + residual and max(…, 0) where wanted. Behind
// batchnorm_normal.wgsl.
//
//   x, residual, out: [rows, channels], rows = N·H·W of an NHWC image; any buffer as residual when hasResidual is 0
//   normals: [channels / WIDTH] of Normal
// A thread walks down one step of channels of rowsPerSlice rows, so that it reads their normal once.
// LANES × SLICES threads: channels side by side, so that reads are contiguous, by slices of the rows.

struct Params { rows: u32, channels: u32, rowsPerSlice: u32, relu: u32, hasResidual: u32 }

const LANES: u32 = 16;
const SLICES: u32 = 4;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Stored>;
@group(0) @binding(2) var<storage, read> normals: array<Normal>;
@group(0) @binding(3) var<storage, read> residual: array<Stored>;
@group(0) @binding(4) var<storage, read_write> out: array<Stored>;

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
    var y = normalised(Values(x[at]), normal);
    if (params.hasResidual == 1) { y += Values(residual[at]); }
    if (params.relu == 1) { y = select(y, Values(), y < Values()); } // not max, which may lose a NaN
    out[at] = Stored(y);
    at += steps;
  }
}
