// The loss of each row, −log softmax(x)[label], and what its gradient needs. Behind workgroup_reduce.wgsl,
// softmax_row.wgsl and numbers.wgsl.
//
//   x:      [rows, classes]  logits
//   labels: [rows]
//   losses: [rows]  NaN where the label is no class, so that it cannot pass unseen
//   normalisers: [rows, 2]  max and log Σ exp(x − max)
// A workgroup makes one row.

struct Params { rows: u32, classes: u32 }

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> labels: array<u32>;
@group(0) @binding(3) var<storage, read_write> losses: array<f32>;
@group(0) @binding(4) var<storage, read_write> normalisers: array<f32>;

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let row = group.y * groups.x + group.x;
  if (row >= params.rows) { return; }
  let n = normaliserOf(row, params.classes, lane);
  if (lane == 0) {
    let label = labels[row];
    normalisers[2 * row] = n.max;
    normalisers[2 * row + 1] = n.logSum;
    let logit = x[row * params.classes + min(label, params.classes - 1)];
    losses[row] = select(nan(), n.logSum - (logit - n.max), label < params.classes);
  }
}
