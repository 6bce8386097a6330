// A step of SGD. Behind sgd_step.wgsl.
//
//   param, velocity: size floats, changed in place;  grad: size floats
// A thread makes STEPS times four elements; LANES threads lie side by side, so that reads are contiguous. The last four
// may reach beyond the tensor, into the end of its buffer that nobody reads.

struct Params { size: u32, lr: f32, momentum: f32, weightDecay: f32 }

alias Floats = vec4f;

const LANES: u32 = 64;
const STEPS: u32 = 8;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> param: array<vec4f>;
@group(0) @binding(2) var<storage, read> grad: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> velocity: array<vec4f>;

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let first = (group.y * groups.x + group.x) * LANES * STEPS + lane;
  let end = min(first + LANES * STEPS, (params.size + 3) / 4);
  for (var i = first; i < end; i += LANES) {
    let next = moved(param[i], grad[i], velocity[i]);
    velocity[i] = next.velocity;
    param[i] = next.param;
  }
}
