// How many classes come before each row's label when its logits are sorted, the greatest first. Behind numbers.wgsl.
//
//   x:      [rows, classes]  logits
//   labels: [rows]
//   ranks:  [rows]  0 where the label is the top class; classes where its logit is NaN or the label is no class
// Of equal logits the lower class comes first. A NaN comes before every number, as in torch.topk, but is never right.
// A workgroup makes one row.

struct Params { rows: u32, classes: u32 }

const LANES: u32 = 64;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> labels: array<u32>;
@group(0) @binding(3) var<storage, read_write> ranks: array<u32>;

var<workgroup> before: atomic<u32>;

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let row = group.y * groups.x + group.x;
  if (row >= params.rows) { return; }
  if (lane == 0) { atomicStore(&before, 0); } // for drivers that leave it as it was
  workgroupBarrier();
  let label = labels[row];
  let own = x[row * params.classes + min(label, params.classes - 1)];
  var count = 0u;
  for (var k = lane; k < params.classes; k += LANES) {
    let value = x[row * params.classes + k];
    if (isNan(value) || value > own || (value == own && k < label)) { count++; }
  }
  atomicAdd(&before, count);
  workgroupBarrier();
  if (lane == 0) {
    ranks[row] = select(atomicLoad(&before), params.classes, isNan(own) || label >= params.classes);
  }
}
