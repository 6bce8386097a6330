// The mean of each channel of x, and the sum of squared differences from it, over slices of the rows: the first of two
// passes towards batch statistics (batchnorm_stats_finish.wgsl is the second).
//
//   x:       [rows, channels], rows = N·H·W of an NHWC image
//   means:   [slices, channels]
//   squares: [slices, channels]  Σ (x − mean of the slice)²
// A thread makes one element of means and squares: it walks down one channel of one slice of rowsPerSlice rows.
//
// The sums are of d = x − origin with the slice's first value as origin (Chan, Golub, LeVeque 1983: shifted data). As
// origin is one of the n values, (origin − mean)² ≤ squares, so that the subtraction at the end magnifies rounding
// n-fold at worst, however far the mean lies from 0.
// LANES: channels that a workgroup takes side by side, so that its reads are contiguous.

struct Params { rows: u32, channels: u32, rowsPerSlice: u32 }

const LANES: u32 = 64;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> means: array<f32>;
@group(0) @binding(3) var<storage, read_write> squares: array<f32>;

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let channel = group.x * LANES + lane;
  if (channel >= params.channels) { return; }
  let first = group.y * params.rowsPerSlice;
  let count = min(params.rowsPerSlice, params.rows - first);
  var at = first * params.channels + channel;
  let origin = x[at];
  var sum = 0.0;
  var sumOfSquares = 0.0;
  for (var row = 0u; row < count; row++) {
    let d = x[at] - origin;
    sum += d;
    sumOfSquares += d * d;
    at += params.channels;
  }
  let meanOfD = sum / f32(count);
  let slot = group.y * params.channels + channel;
  means[slot] = origin + meanOfD;
  squares[slot] = max(sumOfSquares - sum * meanOfD, 0.0);
}
