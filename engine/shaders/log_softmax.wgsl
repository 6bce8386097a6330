// out = x − log Σ exp(x), by row. Behind workgroup_reduce.wgsl and softmax_row.wgsl.
//
//   x, out: [rows, classes]
// A workgroup makes one row.

struct Params { rows: u32, classes: u32 }

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let row = group.y * groups.x + group.x;
  if (row >= params.rows) { return; }
  let n = normaliserOf(row, params.classes, lane);
  for (var k = lane; k < params.classes; k += LANES) {
    let at = row * params.classes + k;
    out[at] = x[at] - n.max - n.logSum;
  }
}
