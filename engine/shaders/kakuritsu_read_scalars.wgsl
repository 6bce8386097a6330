// How the kernels of the Kakuritsu layer read and write matrices of any row length, a number at a time. What lies beyond
// a row's end is read as its last number. A piece of them, the other form of kakuritsu_read_vectors.wgsl.

@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;

fn places_of(row: u32, columns: u32, quad: u32) -> vec4u {
  return row * columns + min(4u * quad + vec4u(0u, 1u, 2u, 3u), vec4u(columns - 1u));
}

fn read_a(row: u32, columns: u32, quad: u32) -> vec4f {
  let at = places_of(row, columns, quad);
  return vec4f(a[at.x], a[at.y], a[at.z], a[at.w]);
}

fn read_b(row: u32, columns: u32, quad: u32) -> vec4f {
  let at = places_of(row, columns, quad);
  return vec4f(b[at.x], b[at.y], b[at.z], b[at.w]);
}

fn write_out(row: u32, columns: u32, quad: u32, values: vec4f) {
  for (var i = 0u; i < 4u; i++) {
    if (4u * quad + i < columns) { out[row * columns + 4u * quad + i] = values[i]; }
  }
}
