// dx = dy − exp(out) · Σ dy, by row. Behind workgroup_reduce.wgsl.
//
//   out, dy, dx: [rows, classes]; out as log_softmax.wgsl made it
// A workgroup makes one row.

struct Params { rows: u32, classes: u32 }

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> out: array<f32>;
@group(0) @binding(2) var<storage, read> dy: array<f32>;
@group(0) @binding(3) var<storage, read_write> dx: array<f32>;

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let row = group.y * groups.x + group.x;
  if (row >= params.rows) { return; }
  let origin = row * params.classes;
  var sum = 0.0;
  for (var k = lane; k < params.classes; k += LANES) { sum += dy[origin + k]; }
  sum = workgroupSum(sum, lane);
  for (var k = lane; k < params.classes; k += LANES) { dx[origin + k] = dy[origin + k] - exp(out[origin + k]) * sum; }
}
