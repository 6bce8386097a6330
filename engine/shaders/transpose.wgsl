// Transposes each of a row of matrices.
//
//   x:   [matrices, rows, columns]
//   out: [matrices, columns, rows]
// A thread moves RUN elements of one row; group.x counts 64 rows, group.y runs of columns, group.z matrices.

struct Params { rows: u32, columns: u32 }

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;

const RUN: u32 = 16;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let row = group.x * 64 + lane;
  if (row >= params.rows) { return; }
  let matrix = group.z * params.rows * params.columns;
  let first = group.y * RUN;
  let last = min(params.columns, first + RUN);
  for (var column = first; column < last; column++) {
    out[matrix + column * params.rows + row] = x[matrix + row * params.columns + column];
  }
}
