// Notes that a tensor holds a number that is not finite: first ← min(first, place). Of the tensors noted, the one with the
// lowest place is left.
//
//   x: size numbers;  first: [1], u32
// A thread looks at STEPS elements; LANES threads lie side by side, so that reads are contiguous.

alias Element = f32;

struct Params { size: u32, place: u32 }

const LANES: u32 = 64;
const STEPS: u32 = 32;

// All bits of the exponent: infinities and NaN have them.
const EXPONENT: u32 = 0x7f800000;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Element>;
@group(0) @binding(2) var<storage, read_write> first: array<atomic<u32>>;

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let begin = (group.y * groups.x + group.x) * LANES * STEPS + lane;
  let end = min(begin + LANES * STEPS, params.size);
  var found = false;
  for (var i = begin; i < end; i += LANES) {
    found = found || (bitcast<u32>(f32(x[i])) & EXPONENT) == EXPONENT;
  }
  if (found) { atomicMin(&first[0], params.place); }
}
