// out = Σ slices, element by element, in order: the second half of a sum that was cut into slices.
//
//   parts: [slices, size]
//   out:   [size]
// A thread makes one element.

struct Params { size: u32, slices: u32 }

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> parts: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = (group.y * groups.x + group.x) * 64 + lane;
  if (i >= params.size) { return; }
  var sum = 0.0;
  for (var slice = 0u; slice < params.slices; slice++) { sum += parts[slice * params.size + i]; }
  out[i] = sum;
}
