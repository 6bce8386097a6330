// How the kernels of the Kakuritsu layer read and write matrices of any row length, a number at a time. What lies beyond
// a row's end is read as its last number. A piece of them, the other form of kakuritsu_read_vectors.wgsl.

@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;

struct Rows { columns: u32 }

fn rows_of(columns: u32) -> Rows { return Rows(columns); }

fn places_of(rows: Rows, row: u32, quad: u32) -> vec4u {
  return row * rows.columns + min(4u * quad + vec4u(0u, 1u, 2u, 3u), vec4u(rows.columns - 1u));
}

fn read_a(rows: Rows, row: u32, quad: u32) -> vec4f {
  let at = places_of(rows, row, quad);
  return vec4f(a[at.x], a[at.y], a[at.z], a[at.w]);
}

fn read_b(rows: Rows, row: u32, quad: u32) -> vec4f {
  let at = places_of(rows, row, quad);
  return vec4f(b[at.x], b[at.y], b[at.z], b[at.w]);
}

fn write_out(rows: Rows, row: u32, quad: u32, values: vec4f) {
  for (var i = 0u; i < 4u; i++) {
    if (4u * quad + i < rows.columns) { out[row * rows.columns + 4u * quad + i] = values[i]; }
  }
}
