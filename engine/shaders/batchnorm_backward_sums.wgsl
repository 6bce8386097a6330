// The sums over rows that the gradients of batch normalisation need, over slices of the rows: the first of two passes
// (batchnorm_backward_finish.wgsl is the second). Behind batchnorm_normal.wgsl.
//
// With x̂ = (x − mean) / √(variance + eps) and y = relu(x̂ · weight + bias + residual), d is dy where y > 0 and 0
// elsewhere, or dy everywhere when relu is 0:
//
//   x, dy, y: [rows, channels], rows = N·H·W of an NHWC image; y is read with relu and a residual only, else any buffer
//   normals: [channels / WIDTH] of Normal  those that normalised x
//   sums, products: [slices, channels]  Σ d and Σ d·x̂ of each slice
//   dResidual: [rows, channels]  d; written with relu and a residual only
// A thread walks down one step of channels of one slice, which has rowsPerSlice rows or, at the end, fewer.
// LANES × SLICES threads: channels side by side, so that reads are contiguous, by slices of the rows.

struct Params { rows: u32, channels: u32, rowsPerSlice: u32, relu: u32, hasResidual: u32 }

const LANES: u32 = 16;
const SLICES: u32 = 4;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Values>;
@group(0) @binding(2) var<storage, read> dy: array<Values>;
@group(0) @binding(3) var<storage, read> y: array<Values>;
@group(0) @binding(4) var<storage, read> normals: array<Normal>;
@group(0) @binding(5) var<storage, read_write> sums: array<Values>;
@group(0) @binding(6) var<storage, read_write> products: array<Values>;
@group(0) @binding(7) var<storage, read_write> dResidual: array<Values>;

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
  var sum = Values();
  var product = Values();
  for (var row = 0u; row < count; row++) {
    let value = x[at];
    var d = dy[at];
    if (params.relu == 1) {
      if (params.hasResidual == 1) {
        d = select(d, Values(), y[at] <= Values());
        dResidual[at] = d;
      } else {
        d = select(d, Values(), normalised(value, normal) <= Values());
      }
    }
    sum += d;
    product += d * (value - normal.mean);
    at += steps;
  }
  let slot = slice * steps + step;
  sums[slot] = sum;
  products[slot] = product * normal.inverseStd;
}
