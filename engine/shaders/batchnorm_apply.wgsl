// out = (x − mean) / √(variance + eps) · weight + bias, by channel.
//
//   x, out: [rows, channels], rows = N·H·W of an NHWC image
//   mean, variance, weight, bias: [channels]
// A thread walks down one channel of rowsPerSlice rows, so that it reads the channel's four numbers once.
// LANES: channels that a workgroup takes side by side, so that its reads are contiguous.

struct Params { rows: u32, channels: u32, rowsPerSlice: u32, eps: f32 }

const LANES: u32 = 64;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> mean: array<f32>;
@group(0) @binding(3) var<storage, read> variance: array<f32>;
@group(0) @binding(4) var<storage, read> weight: array<f32>;
@group(0) @binding(5) var<storage, read> bias: array<f32>;
@group(0) @binding(6) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let channel = group.x * LANES + lane;
  if (channel >= params.channels) { return; }
  let first = group.y * params.rowsPerSlice;
  let count = min(params.rowsPerSlice, params.rows - first);
  let center = mean[channel];
  let scale = weight[channel] / sqrt(variance[channel] + params.eps);
  let shift = bias[channel];
  var at = first * params.channels + channel;
  for (var row = 0u; row < count; row++) {
    // Not x·scale + (shift − center·scale): with a mean far from 0 that subtracts two large numbers.
    out[at] = (x[at] - center) * scale + shift;
    at += params.channels;
  }
}
