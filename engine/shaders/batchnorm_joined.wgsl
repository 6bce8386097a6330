// What normalises a batch that several processes share, from the statistics that they have joined, and the running
// statistics moved towards those. Behind batchnorm_normal.wgsl.
//
//   rows: [1]  of all processes
//   mean, squares: [channels]  of all those rows: their mean, and Σ (x − mean)²
//   weight, bias: [channels]
//   normals: [channels / WIDTH] of Normal  of the mean and the biased variance
//   runningMean, runningVar: [channels]  running ← (1 − momentum)·running + momentum·batch, the variance unbiased
// A thread makes one step of channels.

struct Params { channels: u32, momentum: f32, eps: f32 }

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> rows: array<f32>;
@group(0) @binding(2) var<storage, read> mean: array<Values>;
@group(0) @binding(3) var<storage, read> squares: array<Values>;
@group(0) @binding(4) var<storage, read> weight: array<Values>;
@group(0) @binding(5) var<storage, read> bias: array<Values>;
@group(0) @binding(6) var<storage, read_write> normals: array<Normal>;
@group(0) @binding(7) var<storage, read_write> runningMean: array<Values>;
@group(0) @binding(8) var<storage, read_write> runningVar: array<Values>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let step = id.x;
  if (step >= params.channels / WIDTH) { return; }
  let m = params.momentum;
  normals[step] = normalOf(mean[step], squares[step] / rows[0], params.eps, weight[step], bias[step]);
  runningMean[step] = (1 - m) * runningMean[step] + m * mean[step];
  runningVar[step] = (1 - m) * runningVar[step] + m * squares[step] / (rows[0] - 1);
}
