// The loss of each row, −logp[label]. Behind numbers.wgsl.
//
//   logp:   [rows, classes]
//   labels: [rows]
//   losses: [rows]  NaN where the label is no class, so that it cannot pass unseen
// A thread makes one row.

struct Params { rows: u32, classes: u32 }

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> logp: array<f32>;
@group(0) @binding(2) var<storage, read> labels: array<u32>;
@group(0) @binding(3) var<storage, read_write> losses: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let row = (group.y * groups.x + group.x) * 64 + lane;
  if (row >= params.rows) { return; }
  let label = labels[row];
  losses[row] = select(nan(), -logp[row * params.classes + min(label, params.classes - 1)], label < params.classes);
}
