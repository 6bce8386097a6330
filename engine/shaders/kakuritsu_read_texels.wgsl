// How the kernels of the Kakuritsu layer read matrices on software adapters, and write on them. A piece of the kernels, of
// which kakuritsu_read_vectors.wgsl and kakuritsu_read_scalars.wgsl are other forms; see there what a and b are.
//
// From a buffer, llvmpipe reads four floats a lane with 44 scalar instructions, most of them range checks; from a texture
// 8 lanes get theirs with 60. Rows are whole texels of four floats; engine/texels.ts says where they lie.

alias Texels = texture_storage_2d<rgba32float, read>;

@group(0) @binding(1) var a: Texels;
@group(0) @binding(2) var b: Texels;
@group(0) @binding(3) var<storage, read_write> out: array<vec4f>;

// The texels of a row, and as a power of two how many rows are in a line of the texture: as many as make it a multiple of
// 16 texels.
struct Rows { quads: u32, places: u32 }

fn rows_of(columns: u32) -> Rows {
  let quads = (columns + 3u) / 4u;
  return Rows(quads, 4u - min(countTrailingZeros(quads), 4u));
}

fn place_of(rows: Rows, row: u32, quad: u32) -> vec2u {
  return vec2u((row & ((1u << rows.places) - 1u)) * rows.quads + quad, row >> rows.places);
}

fn read_a(rows: Rows, row: u32, quad: u32) -> vec4f { return textureLoad(a, place_of(rows, row, quad)); }
fn read_b(rows: Rows, row: u32, quad: u32) -> vec4f { return textureLoad(b, place_of(rows, row, quad)); }

fn write_out(rows: Rows, row: u32, quad: u32, values: vec4f) {
  if (quad < rows.quads) { out[row * rows.quads + quad] = values; }
}
