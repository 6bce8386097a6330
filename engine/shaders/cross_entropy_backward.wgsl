// dx = (softmax(x) − [k = label]) · dy / rows: the gradient of the mean over rows of −log softmax(x)[label].
//
//   x, dx:  [rows, classes]
//   labels: [rows]
//   normalisers: [rows, 2]  made by cross_entropy.wgsl
//   dy:     [1]
// A thread makes one element of dx, a workgroup LANES neighbouring classes of one row; group.z counts such tiles.

struct Params { rows: u32, classes: u32 }

const LANES: u32 = 64;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> labels: array<u32>;
@group(0) @binding(3) var<storage, read> normalisers: array<f32>;
@group(0) @binding(4) var<storage, read> dy: array<f32>;
@group(0) @binding(5) var<storage, read_write> dx: array<f32>;

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let row = group.y * groups.x + group.x;
  let k = group.z * LANES + lane;
  if (row >= params.rows || k >= params.classes) { return; }
  let at = row * params.classes + k;
  let probability = exp(x[at] - normalisers[2 * row] - normalisers[2 * row + 1]);
  dx[at] = (probability - select(0.0, 1.0, k == labels[row])) * dy[0] / f32(params.rows);
}
