// Batch statistics from those of slices, and the running statistics moved towards them. Behind batchnorm_slices.wgsl.
//
//   means, squares: [slices, channels], made by batchnorm_stats.wgsl
//   mean, variance: [channels]  the batch's mean and biased variance, which normalise it
//   runningMean, runningVar: [channels]  running ← (1 − momentum)·running + momentum·batch, the variance unbiased
// A workgroup makes CHANNELS channels; each of a channel's SPREAD threads takes every SPREAD-th slice.
//
//   mean = Σ count·mean(slice) / rows,  Σ (x − mean)² = Σ squares(slice) + count·(mean(slice) − mean)²

struct Params { rows: u32, channels: u32, rowsPerSlice: u32, slices: u32, momentum: f32 }

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> means: array<f32>;
@group(0) @binding(2) var<storage, read> squares: array<f32>;
@group(0) @binding(3) var<storage, read_write> mean: array<f32>;
@group(0) @binding(4) var<storage, read_write> variance: array<f32>;
@group(0) @binding(5) var<storage, read_write> runningMean: array<f32>;
@group(0) @binding(6) var<storage, read_write> runningVar: array<f32>;

// The rows of a slice; the last may have fewer than the others.
fn rowsOf(slice: u32) -> f32 {
  return f32(min(params.rowsPerSlice, params.rows - slice * params.rowsPerSlice));
}

@compute @workgroup_size(CHANNELS * SPREAD)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let channel = group.x * CHANNELS + lane % CHANNELS;
  let slices = select(0u, params.slices, channel < params.channels);

  // Differences from the first slice's mean are summed, not the means: they are small, and so is their rounding.
  let origin = means[min(channel, params.channels - 1)];
  var sum = 0.0;
  for (var slice = lane / CHANNELS; slice < slices; slice += SPREAD) {
    sum += rowsOf(slice) * (means[slice * params.channels + channel] - origin);
  }
  let batchMean = origin + sumOfChannel(sum, lane) / f32(params.rows);

  var squared = 0.0;
  for (var slice = lane / CHANNELS; slice < slices; slice += SPREAD) {
    let at = slice * params.channels + channel;
    let d = means[at] - batchMean;
    squared += squares[at] + rowsOf(slice) * d * d;
  }
  let sumOfSquares = sumOfChannel(squared, lane);

  if (lane < CHANNELS && channel < params.channels) {
    let m = params.momentum;
    mean[channel] = batchMean;
    variance[channel] = sumOfSquares / f32(params.rows);
    runningMean[channel] = (1 - m) * runningMean[channel] + m * batchMean;
    runningVar[channel] = (1 - m) * runningVar[channel] + m * sumOfSquares / f32(params.rows - 1);
  }
}
