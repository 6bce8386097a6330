// All gradients of training's batch normalisation in one pass, for a batch of so few rows that a thread may walk down
// all of them. Behind batchnorm_normal.wgsl; a source behind this one has `finish`, which says what becomes of the sums
// Σ d and Σ d·x̂, the gradients of bias and weight. Formulas and names are those of batchnorm_backward_sums.wgsl and
// batchnorm_backward_train.wgsl:
//
//   x, dy, y, dx: [rows, channels], rows = N·H·W of an NHWC image; y is read with relu and a residual only
//   normals: [channels / WIDTH] of Normal  those that normalised x
//   dResidual: [rows, channels]  d; written, and read again, with relu and a residual only
// A thread makes one step of channels.

struct Params {
  rows: u32, channels: u32, relu: u32, hasResidual: u32,
  lr: f32, momentum: f32, weightDecay: f32, // of batchnorm_backward_small_move.wgsl
}

const LANES: u32 = 8;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Values>;
@group(0) @binding(2) var<storage, read> dy: array<Values>;
@group(0) @binding(3) var<storage, read> y: array<Values>;
@group(0) @binding(4) var<storage, read> normals: array<Normal>;
@group(0) @binding(5) var<storage, read_write> dResidual: array<Values>;
@group(0) @binding(6) var<storage, read_write> dx: array<Values>;

@compute @workgroup_size(LANES)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let steps = params.channels / WIDTH;
  let step = id.x;
  if (step >= steps) { return; }
  let normal = normals[step];
  let clampedResidual = params.relu == 1 && params.hasResidual == 1;
  let clamped = params.relu == 1 && params.hasResidual == 0;

  var sum = Values();
  var product = Values();
  for (var row = 0u; row < params.rows; row++) {
    let at = row * steps + step;
    let value = x[at];
    var d = dy[at];
    if (clamped) { d = select(d, Values(), normalised(value, normal) <= Values()); }
    if (clampedResidual) {
      d = select(d, Values(), y[at] <= Values());
      dResidual[at] = d;
    }
    sum += d;
    product += d * (value - normal.mean);
  }
  product *= normal.inverseStd;
  finish(step, product, sum);

  let meanOfD = sum / f32(params.rows);
  let slope = product / f32(params.rows) * normal.inverseStd;
  for (var row = 0u; row < params.rows; row++) {
    let at = row * steps + step;
    let value = x[at];
    var d: Values;
    if (clampedResidual) { d = dResidual[at]; } else { d = dy[at]; }
    if (clamped) { d = select(d, Values(), normalised(value, normal) <= Values()); }
    dx[at] = normal.scale * (d - meanOfD - (value - normal.mean) * slope);
  }
}
