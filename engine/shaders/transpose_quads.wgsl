// Transposes each of a row of matrices, as transpose.wgsl, where rows and columns are in fours: half the time, as elements
// come and go four at a time.
//
//   x:   [matrices, rows, columns]
//   out: [matrices, columns, rows]
// A thread moves RUN blocks of 4 × 4 side by side in x; group.x counts LANES quads of rows, group.y runs of quads of
// columns, group.z matrices.

struct Params { rows: u32, columns: u32 }

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> out: array<vec4f>;

const LANES: u32 = 64;
const RUN: u32 = 16;

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let rowQuads = params.rows / 4;
  let columnQuads = params.columns / 4;
  let rowQuad = group.x * LANES + lane;
  if (rowQuad >= rowQuads) { return; }
  let matrix = group.z * params.rows * columnQuads;
  let first = group.y * RUN;
  let end = min(columnQuads, first + RUN);
  for (var quad = first; quad < end; quad++) {
    let i = matrix + 4 * rowQuad * columnQuads + quad;
    let block = transpose(mat4x4f(x[i], x[i + columnQuads], x[i + 2 * columnQuads], x[i + 3 * columnQuads]));
    let o = matrix + 4 * quad * rowQuads + rowQuad;
    for (var k = 0u; k < 4; k++) { out[o + k * rowQuads] = block[k]; }
  }
}
