// dx = 0 where y <= 0, else dy, for y = max(x, 0). PyTorch's convention: the gradient at 0 is 0.
//
//   y, dy, dx: size floats each
// A thread makes one element.

struct Params { size: u32 }

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> y: array<f32>;
@group(0) @binding(2) var<storage, read> dy: array<f32>;
@group(0) @binding(3) var<storage, read_write> dx: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = (group.y * groups.x + group.x) * 64 + lane;
  if (i < params.size) { dx[i] = select(dy[i], 0.0, y[i] <= 0.0); }
}
