// Running statistics as a multiple and a summand: (x − mean) / √(variance + eps) · weight + bias = x · scale + shift.
//
//   mean, variance, weight, bias, scale, shift: [channels]
// A thread makes one channel.

struct Params { channels: u32, eps: f32 }

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> mean: array<f32>;
@group(0) @binding(2) var<storage, read> variance: array<f32>;
@group(0) @binding(3) var<storage, read> weight: array<f32>;
@group(0) @binding(4) var<storage, read> bias: array<f32>;
@group(0) @binding(5) var<storage, read_write> scale: array<f32>;
@group(0) @binding(6) var<storage, read_write> shift: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let channel = id.x;
  if (channel >= params.channels) { return; }
  let factor = weight[channel] / sqrt(variance[channel] + params.eps);
  scale[channel] = factor;
  shift[channel] = bias[channel] - mean[channel] * factor;
}
