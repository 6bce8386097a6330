// y = max(x, 0), element by element.
//
//   x, y: size floats each
// A thread makes one element. NaN stays NaN, as in PyTorch.

struct Params { size: u32 }

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = (group.y * groups.x + group.x) * 64 + lane;
  if (i < params.size) { y[i] = select(x[i], 0.0, x[i] < 0.0); }
}
