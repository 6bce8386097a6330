// How the kernels of the Kakuritsu layer read and write matrices whose rows are whole vectors of four. What lies beyond a
// row's end is read as its last vector.
// A piece of them, with kakuritsu_read_scalars.wgsl as its other form.

alias Pairs = array<vec2f>;
alias Quads = array<vec4f>;

fn read_pair(matrix: ptr<storage, Pairs, read>, row: u32, columns: u32, pair: u32) -> vec2f {
  return (*matrix)[row * (columns / 2u) + min(pair, columns / 2u - 1u)];
}

fn read_quad(matrix: ptr<storage, Quads, read>, row: u32, columns: u32, quad: u32) -> vec4f {
  return (*matrix)[row * (columns / 4u) + min(quad, columns / 4u - 1u)];
}

fn write_quad(matrix: ptr<storage, Quads, read_write>, row: u32, columns: u32, quad: u32, values: vec4f) {
  if (quad < columns / 4u) { (*matrix)[row * (columns / 4u) + quad] = values; }
}
