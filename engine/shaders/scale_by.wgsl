// x ← factor · x in place, the factor being a number on the GPU.
//
//   x: size floats;  factor: [1]
// A thread makes STEPS times four elements; LANES threads lie side by side, so that reads are contiguous. The last four
// may reach beyond the tensor, into the end of its buffer that nobody reads.

struct Params { size: u32 }

const LANES: u32 = 64;
const STEPS: u32 = 8;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> x: array<vec4f>;
@group(0) @binding(2) var<storage, read> factor: array<f32>;

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let first = (group.y * groups.x + group.x) * LANES * STEPS + lane;
  let end = min(first + LANES * STEPS, (params.size + 3) / 4);
  let by = factor[0];
  for (var i = first; i < end; i += LANES) { x[i] = by * x[i]; }
}
