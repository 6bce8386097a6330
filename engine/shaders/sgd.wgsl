// A step of SGD in PyTorch's order: g = grad + weightDecay·param, velocity ← momentum·velocity + g,
// param ← param − lr·velocity.
//
//   param, velocity: size floats, changed in place;  grad: size floats
// A thread makes one element.

struct Params { size: u32, lr: f32, momentum: f32, weightDecay: f32 }

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> param: array<f32>;
@group(0) @binding(2) var<storage, read> grad: array<f32>;
@group(0) @binding(3) var<storage, read_write> velocity: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = (group.y * groups.x + group.x) * 64 + lane;
  if (i >= params.size) { return; }
  let value = param[i];
  let v = params.momentum * velocity[i] + (grad[i] + params.weightDecay * value);
  velocity[i] = v;
  param[i] = value - params.lr * v;
}
