// How the kernels of the Kakuritsu layer read and write matrices whose rows are whole vectors of four. What lies beyond a
// row's end is read as its last vector. A piece of them, with kakuritsu_read_scalars.wgsl as its other form.
//
//   a: what all threads of a workgroup need, and share;  b: what each needs for itself

@group(0) @binding(1) var<storage, read> a: array<vec4f>;
@group(0) @binding(2) var<storage, read> b: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> out: array<vec4f>;

fn place_of(row: u32, columns: u32, quad: u32) -> u32 { return row * (columns / 4u) + min(quad, columns / 4u - 1u); }

fn read_a(row: u32, columns: u32, quad: u32) -> vec4f { return a[place_of(row, columns, quad)]; }
fn read_b(row: u32, columns: u32, quad: u32) -> vec4f { return b[place_of(row, columns, quad)]; }

fn write_out(row: u32, columns: u32, quad: u32, values: vec4f) {
  if (quad < columns / 4u) { out[row * (columns / 4u) + quad] = values; }
}
