// How the kernels of the Kakuritsu layer read and write matrices of any row length, a number at a time. What lies beyond
// a row's end is read as its last number. A piece of them, with kakuritsu_read_vectors.wgsl as its other form.

alias Pairs = array<f32>;
alias Quads = array<f32>;

fn read_pair(matrix: ptr<storage, Pairs, read>, row: u32, columns: u32, pair: u32) -> vec2f {
  let at = row * columns + min(2u * pair + vec2u(0u, 1u), vec2u(columns - 1u));
  return vec2f((*matrix)[at.x], (*matrix)[at.y]);
}

fn read_quad(matrix: ptr<storage, Quads, read>, row: u32, columns: u32, quad: u32) -> vec4f {
  let at = row * columns + min(4u * quad + vec4u(0u, 1u, 2u, 3u), vec4u(columns - 1u));
  return vec4f((*matrix)[at.x], (*matrix)[at.y], (*matrix)[at.z], (*matrix)[at.w]);
}

fn write_quad(matrix: ptr<storage, Quads, read_write>, row: u32, columns: u32, quad: u32, values: vec4f) {
  for (var i = 0u; i < 4u; i++) {
    if (4u * quad + i < columns) { (*matrix)[row * columns + 4u * quad + i] = values[i]; }
  }
}
