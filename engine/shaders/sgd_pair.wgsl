// A step of SGD on two small parameters, which spares a dispatch. Behind sgd_step.wgsl.
//
//   param0, velocity0: size0 floats, changed in place;  grad0: size0 floats;  the others: size1 floats, likewise
// Each of two workgroups moves a parameter, its LANES threads side by side, four elements at a time. The last four may
// reach beyond the tensor, into the end of its buffer that nobody reads.

struct Params { size0: u32, size1: u32, lr: f32, momentum: f32, weightDecay: f32 }

alias Floats = vec4f;

const LANES: u32 = 64;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> param0: array<vec4f>;
@group(0) @binding(2) var<storage, read> grad0: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> velocity0: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> param1: array<vec4f>;
@group(0) @binding(5) var<storage, read> grad1: array<vec4f>;
@group(0) @binding(6) var<storage, read_write> velocity1: array<vec4f>;

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  if (group.x == 0) {
    for (var i = lane; i < (params.size0 + 3) / 4; i += LANES) {
      let next = moved(param0[i], grad0[i], velocity0[i]);
      velocity0[i] = next.velocity;
      param0[i] = next.param;
    }
  } else {
    for (var i = lane; i < (params.size1 + 3) / 4; i += LANES) {
      let next = moved(param1[i], grad1[i], velocity1[i]);
      velocity1[i] = next.velocity;
      param1[i] = next.param;
    }
  }
}
