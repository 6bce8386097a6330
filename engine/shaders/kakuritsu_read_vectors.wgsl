// How the kernels of the Kakuritsu layer read and write matrices whose rows are whole vectors of four. What lies beyond a
// row's end is read as its last vector. A piece of them, with kakuritsu_read_scalars.wgsl as its other form.
//
//   a: what all threads of a workgroup need, and share;  b: what each needs for itself

@group(0) @binding(1) var<storage, read> a: array<vec4f>;
@group(0) @binding(2) var<storage, read> b: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> out: array<vec4f>;

// How long rows are. Taken once, for adapters that load a uniform wherever it is used.
struct Rows { quads: u32 }

fn rows_of(columns: u32) -> Rows { return Rows(columns / 4u); }

fn place_of(rows: Rows, row: u32, quad: u32) -> u32 { return row * rows.quads + min(quad, rows.quads - 1u); }

fn read_a(rows: Rows, row: u32, quad: u32) -> vec4f { return a[place_of(rows, row, quad)]; }
fn read_b(rows: Rows, row: u32, quad: u32) -> vec4f { return b[place_of(rows, row, quad)]; }

fn write_out(rows: Rows, row: u32, quad: u32, values: vec4f) {
  if (quad < rows.quads) { out[row * rows.quads + quad] = values; }
}
