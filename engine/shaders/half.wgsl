// out = x in half precision, element by element: the nearest of the two halves around it or, as WGSL lets a GPU, the other.
//
//   x:   size floats
//   out: size Elements, f16
// A thread makes STEPS times four elements; LANES threads lie side by side, so that reads are contiguous. The last four
// may reach beyond the tensor, into the end of its buffer that nobody reads.

alias Element = f32;

struct Params { size: u32 }

const LANES: u32 = 64;
const STEPS: u32 = 8;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> out: array<vec4<Element>>;

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let first = (group.y * groups.x + group.x) * LANES * STEPS + lane;
  let end = min(first + LANES * STEPS, (params.size + 3) / 4);
  for (var i = first; i < end; i += LANES) { out[i] = vec4<Element>(x[i]); }
}
