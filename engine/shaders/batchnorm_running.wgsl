// What normalises with running statistics. Behind batchnorm_normal.wgsl.
//
//   mean, variance: [channels]  the running statistics
//   weight, bias: [channels]
//   normals: [channels / WIDTH] of Normal
// A thread makes one step of channels.

struct Params { channels: u32, eps: f32 }

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> mean: array<Values>;
@group(0) @binding(2) var<storage, read> variance: array<Values>;
@group(0) @binding(3) var<storage, read> weight: array<Values>;
@group(0) @binding(4) var<storage, read> bias: array<Values>;
@group(0) @binding(5) var<storage, read_write> normals: array<Normal>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let step = id.x;
  if (step >= params.channels / WIDTH) { return; }
  normals[step] = normalOf(mean[step], variance[step], params.eps, weight[step], bias[step]);
}
