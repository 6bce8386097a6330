// All of training's batch normalisation in one pass, for a batch of so few rows that a thread may walk down all of them:
// the batch's statistics, what normalises with them, the running statistics moved, and the result. Behind
// batchnorm_normal.wgsl and batchnorm_rows.wgsl.
//
//   x, residual, out: [rows, channels], rows = N·H·W of an NHWC image; any buffer as residual when hasResidual is 0
//   weight, bias, runningMean, runningVar: [channels]
//   normals: [channels / WIDTH] of Normal  of the batch's mean and biased variance
// A thread makes one step of channels.

struct Params { rows: u32, channels: u32, momentum: f32, eps: f32, relu: u32, hasResidual: u32 }

const LANES: u32 = 8;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Stored>;
@group(0) @binding(2) var<storage, read> weight: array<Values>;
@group(0) @binding(3) var<storage, read> bias: array<Values>;
@group(0) @binding(4) var<storage, read> residual: array<Stored>;
@group(0) @binding(5) var<storage, read_write> normals: array<Normal>;
@group(0) @binding(6) var<storage, read_write> runningMean: array<Values>;
@group(0) @binding(7) var<storage, read_write> runningVar: array<Values>;
@group(0) @binding(8) var<storage, read_write> out: array<Stored>;

@compute @workgroup_size(LANES)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let steps = params.channels / WIDTH;
  let step = id.x;
  if (step >= steps) { return; }

  let batch = statisticsOf(step, steps, 0, params.rows);
  let m = params.momentum;
  runningMean[step] = (1 - m) * runningMean[step] + m * batch.mean;
  runningVar[step] = (1 - m) * runningVar[step] + m * batch.squares / f32(params.rows - 1);
  let normal = normalOf(batch.mean, batch.squares / f32(params.rows), params.eps, weight[step], bias[step]);
  normals[step] = normal;
  for (var row = 0u; row < params.rows; row++) {
    let at = row * steps + step;
    var y = normalised(Values(x[at]), normal);
    if (params.hasResidual == 1) { y += Values(residual[at]); }
    if (params.relu == 1) { y = select(y, Values(), y < Values()); }
    out[at] = Stored(y);
  }
}
