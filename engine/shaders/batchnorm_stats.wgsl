// The mean of each channel of x, and the sum of squared differences from it, over slices of the rows: the first of two
// passes towards batch statistics (batchnorm_stats_finish.wgsl is the second).
//
//   x:       [rows, channels], rows = N·H·W of an NHWC image
//   means:   [slices, channels]
//   squares: [slices, channels]  Σ (x − mean of the slice)²
// A thread walks down one step of channels of one slice, which has rowsPerSlice rows or, at the end, fewer.
//
// The sums are of d = x − origin with the slice's first value as origin (Chan, Golub, LeVeque 1983: shifted data). As
// origin is one of the n values, (origin − mean)² ≤ squares, so that the subtraction at the end magnifies rounding
// n-fold at worst, however far the mean lies from 0.
//
// Behind width1.wgsl or width4.wgsl. LANES × SLICES threads: channels side by side, so that reads are contiguous, by
// slices of the rows.

struct Params { rows: u32, channels: u32, rowsPerSlice: u32 }

const LANES: u32 = 16;
const SLICES: u32 = 4;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Values>;
@group(0) @binding(2) var<storage, read_write> means: array<Values>;
@group(0) @binding(3) var<storage, read_write> squares: array<Values>;

@compute @workgroup_size(LANES, SLICES)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_id) local: vec3u) {
  let steps = params.channels / WIDTH;
  let step = group.x * LANES + local.x;
  let slice = group.y * SLICES + local.y;
  let first = slice * params.rowsPerSlice;
  if (step >= steps || first >= params.rows) { return; }
  let count = min(params.rowsPerSlice, params.rows - first);
  var at = first * steps + step;
  let origin = x[at];
  var sum = Values();
  var sumOfSquares = Values();
  for (var row = 0u; row < count; row++) {
    let d = x[at] - origin;
    sum += d;
    sumOfSquares += d * d;
    at += steps;
  }
  let meanOfD = sum / f32(count);
  let slot = slice * steps + step;
  means[slot] = origin + meanOfD;
  let sumAroundMean = sumOfSquares - sum * meanOfD;
  squares[slot] = select(sumAroundMean, Values(), sumAroundMean < Values()); // not max, which may lose a NaN
}
