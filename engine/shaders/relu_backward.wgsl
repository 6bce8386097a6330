// dx = dy where y > 0, else 0, for y = max(x, 0). PyTorch's convention: the gradient at 0 is 0.
//
//   y, dy, dx: size floats each
// A thread makes STEPS times four elements; LANES threads lie side by side, so that reads are contiguous. The last four
// may reach beyond the tensor, into the end of its buffer that nobody reads.

struct Params { size: u32 }

const LANES: u32 = 64;
const STEPS: u32 = 8;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> y: array<vec4f>;
@group(0) @binding(2) var<storage, read> dy: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> dx: array<vec4f>;

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let first = (group.y * groups.x + group.x) * LANES * STEPS + lane;
  let end = min(first + LANES * STEPS, (params.size + 3) / 4);
  for (var i = first; i < end; i += LANES) { dx[i] = select(dy[i], vec4f(), y[i] <= vec4f()); }
}
