// The gradient of x where the batch's own statistics normalised it (Ioffe and Szegedy 2015, section 3). With
// x̂ = (x − mean) / √(variance + eps), dx = weight / √(variance + eps) · (d − dBias / rows − x̂ · dWeight / rows).
// Behind batchnorm_normal.wgsl.
//
//   x, dy, dx: [rows, channels], rows = N·H·W of an NHWC image
//   normals: [channels / WIDTH] of Normal  those that normalised x
//   dBias, dWeight: [channels]  Σ d and Σ d·x̂
// d is dy, or with relu dy where x̂ · weight + bias > 0 and 0 elsewhere: that is computed again, not read.
// A thread walks down one step of channels of rowsPerSlice rows, so that it reads what its channels share once.
// LANES × SLICES threads: channels side by side, so that reads are contiguous, by slices of the rows.

struct Params { rows: u32, channels: u32, rowsPerSlice: u32, relu: u32 }

const LANES: u32 = 16;
const SLICES: u32 = 4;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Values>;
@group(0) @binding(2) var<storage, read> dy: array<Values>;
@group(0) @binding(3) var<storage, read> normals: array<Normal>;
@group(0) @binding(4) var<storage, read> dBias: array<Values>;
@group(0) @binding(5) var<storage, read> dWeight: array<Values>;
@group(0) @binding(6) var<storage, read_write> dx: array<Values>;

@compute @workgroup_size(LANES, SLICES)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_id) local: vec3u) {
  let steps = params.channels / WIDTH;
  let step = group.x * LANES + local.x;
  let slice = group.y * SLICES + local.y;
  let first = slice * params.rowsPerSlice;
  if (step >= steps || first >= params.rows) { return; }
  let count = min(params.rowsPerSlice, params.rows - first);
  let normal = normals[step];
  let meanOfD = dBias[step] / f32(params.rows);
  let slope = dWeight[step] / f32(params.rows) * normal.inverseStd;
  var at = first * steps + step;
  for (var row = 0u; row < count; row++) {
    let value = x[at];
    var d = dy[at];
    if (params.relu == 1) { d = select(d, Values(), normalised(value, normal) <= Values()); }
    dx[at] = normal.scale * (d - meanOfD - (value - normal.mean) * slope);
    at += steps;
  }
}
