// What normalises a batch, from the statistics of its slices, and the running statistics moved towards the batch's.
// Behind batchnorm_normal.wgsl and batchnorm_slices.wgsl.
//
//   means, squares: [slices, channels], made by batchnorm_stats.wgsl
//   weight, bias: [channels]
//   normals: [channels / WIDTH] of Normal  of the batch's mean and biased variance
//   runningMean, runningVar: [channels]  running ← (1 − momentum)·running + momentum·batch, the variance unbiased
// A workgroup makes LANES steps of channels; each of a step's SPREAD threads takes every SPREAD-th slice.
//
//   mean = Σ count·mean(slice) / rows,  Σ (x − mean)² = Σ squares(slice) + count·(mean(slice) − mean)²

struct Params { rows: u32, channels: u32, rowsPerSlice: u32, slices: u32, momentum: f32, eps: f32 }

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> means: array<Values>;
@group(0) @binding(2) var<storage, read> squares: array<Values>;
@group(0) @binding(3) var<storage, read> weight: array<Values>;
@group(0) @binding(4) var<storage, read> bias: array<Values>;
@group(0) @binding(5) var<storage, read_write> normals: array<Normal>;
@group(0) @binding(6) var<storage, read_write> runningMean: array<Values>;
@group(0) @binding(7) var<storage, read_write> runningVar: array<Values>;

// The rows of a slice; the last may have fewer than the others.
fn rowsOf(slice: u32) -> f32 {
  return f32(min(params.rowsPerSlice, params.rows - slice * params.rowsPerSlice));
}

@compute @workgroup_size(LANES * SPREAD)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let steps = params.channels / WIDTH;
  let step = group.x * LANES + lane % LANES;
  let slices = select(0u, params.slices, step < steps);

  // Differences from the first slice's mean are summed, not the means: they are small, and so is their rounding.
  let origin = means[min(step, steps - 1)];
  var sum = Values();
  for (var slice = lane / LANES; slice < slices; slice += SPREAD) {
    sum += rowsOf(slice) * (means[slice * steps + step] - origin);
  }
  let batchMean = origin + sumOfStep(sum, lane) / f32(params.rows);

  var squared = Values();
  for (var slice = lane / LANES; slice < slices; slice += SPREAD) {
    let at = slice * steps + step;
    let d = means[at] - batchMean;
    squared += squares[at] + rowsOf(slice) * d * d;
  }
  let sumOfSquares = sumOfStep(squared, lane);

  if (lane < LANES && step < steps) {
    let m = params.momentum;
    let variance = sumOfSquares / f32(params.rows);
    normals[step] = normalOf(batchMean, variance, params.eps, weight[step], bias[step]);
    runningMean[step] = (1 - m) * runningMean[step] + m * batchMean;
    runningVar[step] = (1 - m) * runningVar[step] + m * sumOfSquares / f32(params.rows - 1);
  }
}
