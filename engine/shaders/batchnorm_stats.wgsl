// The mean of each channel of x, and the sum of squared differences from it, over slices of the rows: the first of two
// passes towards batch statistics (batchnorm_stats_finish.wgsl is the second).
//
//   x:       [rows, channels], rows = N·H·W of an NHWC image
//   means:   [slices, channels]
//   squares: [slices, channels]  Σ (x − mean of the slice)²
// A thread walks down one step of channels of one slice, which has rowsPerSlice rows or, at the end, fewer.
// Behind batchnorm_rows.wgsl. LANES × SLICES threads: channels side by side, so that reads are contiguous, by slices of
// the rows.

struct Params { rows: u32, channels: u32, rowsPerSlice: u32 }

const LANES: u32 = 16;
const SLICES: u32 = 4;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Stored>;
@group(0) @binding(2) var<storage, read_write> means: array<Values>;
@group(0) @binding(3) var<storage, read_write> squares: array<Values>;

@compute @workgroup_size(LANES, SLICES)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_id) local: vec3u) {
  let steps = params.channels / WIDTH;
  let step = group.x * LANES + local.x;
  let slice = group.y * SLICES + local.y;
  let first = slice * params.rowsPerSlice;
  if (step >= steps || first >= params.rows) { return; }
  let found = statisticsOf(step, steps, first, min(params.rowsPerSlice, params.rows - first));
  let slot = slice * steps + step;
  means[slot] = found.mean;
  squares[slot] = found.squares;
}
