// The gradient of x where the batch's own statistics normalised it (Ioffe and Szegedy 2015, section 3):
// dx = weight / √(variance + eps) · (dy − dBias / rows − x̂ · dWeight / rows), with x̂ = (x − mean) / √(variance + eps).
//
//   x, dy, dx: [rows, channels], rows = N·H·W of an NHWC image
//   mean, variance, weight: [channels];  dBias, dWeight: [channels]  Σ dy and Σ dy·x̂
// A thread walks down one channel of rowsPerSlice rows, so that it reads the channel's five numbers once.
// LANES: channels that a workgroup takes side by side, so that its reads are contiguous.

struct Params { rows: u32, channels: u32, rowsPerSlice: u32, eps: f32 }

const LANES: u32 = 64;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> dy: array<f32>;
@group(0) @binding(3) var<storage, read> mean: array<f32>;
@group(0) @binding(4) var<storage, read> variance: array<f32>;
@group(0) @binding(5) var<storage, read> weight: array<f32>;
@group(0) @binding(6) var<storage, read> dBias: array<f32>;
@group(0) @binding(7) var<storage, read> dWeight: array<f32>;
@group(0) @binding(8) var<storage, read_write> dx: array<f32>;

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let channel = group.x * LANES + lane;
  if (channel >= params.channels) { return; }
  let first = group.y * params.rowsPerSlice;
  let count = min(params.rowsPerSlice, params.rows - first);
  let center = mean[channel];
  let inverseStd = 1.0 / sqrt(variance[channel] + params.eps);
  let scale = weight[channel] * inverseStd;
  let meanOfDy = dBias[channel] / f32(params.rows);
  let slope = dWeight[channel] / f32(params.rows) * inverseStd;
  var at = first * params.channels + channel;
  for (var row = 0u; row < count; row++) {
    dx[at] = scale * (dy[at] - meanOfDy - (x[at] - center) * slope);
    at += params.channels;
  }
}
