// out[s, column] = Σ x[row, column] over the rows of slice s: the gradient of a bias.
//
//   x:   [rows, columns]
//   out: [slices, columns]; slice s holds rows [s, s + 1) · sliceRows
// A thread sums one column of one slice; group.z is the slice.

struct Params { rows: u32, columns: u32, sliceRows: u32 }

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let column = (group.y * groups.x + group.x) * 64 + lane;
  if (column >= params.columns) { return; }
  let last = min(params.rows, (group.z + 1) * params.sliceRows);
  var sum = 0.0;
  for (var row = group.z * params.sliceRows; row < last; row++) { sum += x[row * params.columns + column]; }
  out[group.z * params.columns + column] = sum;
}
