// dx = −[k = label] · dy / rows: the gradient of the mean over rows of −logp[label].
//
//   labels: [rows];  dy: [1];  dx: [rows, classes]
// A thread makes one element of dx, a workgroup LANES neighbouring classes of one row; group.z counts such tiles.

struct Params { rows: u32, classes: u32 }

const LANES: u32 = 64;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> labels: array<u32>;
@group(0) @binding(2) var<storage, read> dy: array<f32>;
@group(0) @binding(3) var<storage, read_write> dx: array<f32>;

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let row = group.y * groups.x + group.x;
  let k = group.z * LANES + lane;
  if (row >= params.rows || k >= params.classes) { return; }
  dx[row * params.classes + k] = select(0.0, -dy[0] / f32(params.rows), k == labels[row]);
}
