// How the kernels of the Kakuritsu layer read matrices on software adapters, and write on them. A piece of the kernels, of
// which kakuritsu_read_vectors.wgsl and kakuritsu_read_scalars.wgsl are other forms; see there what a and b are.
//
// From a buffer, llvmpipe reads four floats a lane with 44 scalar instructions, most of them range checks; from a texture
// 8 lanes get theirs with 60. Texels are of four floats, TEXELS_WIDTH in a line of the texture, and lie as in the buffer:
// rows are whole texels.

alias Texels = texture_storage_2d<rgba32float, read>;
const TEXELS_WIDTH: u32 = 1024; // see engine/texels.ts

@group(0) @binding(1) var a: Texels;
@group(0) @binding(2) var b: Texels;
@group(0) @binding(3) var<storage, read_write> out: array<vec4f>;

fn read_texel(matrix: Texels, row: u32, columns: u32, quad: u32) -> vec4f {
  let quads = (columns + 3u) / 4u;
  let at = row * quads + min(quad, quads - 1u);
  return textureLoad(matrix, vec2u(at % TEXELS_WIDTH, at / TEXELS_WIDTH));
}

fn read_a(row: u32, columns: u32, quad: u32) -> vec4f { return read_texel(a, row, columns, quad); }
fn read_b(row: u32, columns: u32, quad: u32) -> vec4f { return read_texel(b, row, columns, quad); }

fn write_out(row: u32, columns: u32, quad: u32, values: vec4f) {
  let quads = (columns + 3u) / 4u;
  if (quad < quads) { out[row * quads + quad] = values; }
}
