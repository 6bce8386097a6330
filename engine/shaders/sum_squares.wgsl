// Sums of squares of one tensor, a slice of it in each workgroup. Behind workgroup_reduce.wgsl.
//
//   x: size floats, in whole vec4s: those behind the last element are left out
//   partials: one sum a workgroup, from place `first` on
// A thread adds STEPS times four elements; LANES threads lie side by side, so that reads are contiguous. The order of all
// additions depends on size alone.

struct Params { size: u32, first: u32 }

const STEPS: u32 = 16;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> partials: array<f32>;

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let slice = group.y * groups.x + group.x;
  var sums = vec4f(0.0);
  for (var step = 0u; step < STEPS; step++) {
    let at = (slice * STEPS + step) * LANES + lane;
    if (at * 4 < params.size) {
      let inside = vec4u(0, 1, 2, 3) + at * 4 < vec4u(params.size);
      let four = select(vec4f(0.0), x[at], inside);
      sums += four * four;
    }
  }
  let sum = workgroupSum((sums.x + sums.y) + (sums.z + sums.w), lane);
  if (lane == 0 && slice * STEPS * LANES * 4 < params.size) { partials[params.first + slice] = sum; }
}
