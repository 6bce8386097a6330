// patches(x)ᵀ · dy: the gradient of a convolution's weight, a sum over all output pixels. See gemm_over_rows_params.wgsl
// for the layout of every binding, gemm_subgroup_rows.wgsl for the idea; a source behind this one has `finish`.
//
// Needs channels and columns in fours. A workgroup of 8 lanes makes 32 elements of the patch × 64 columns of one slice.
// Lane i loads patch elements 4 i to 4 i + 3; a lane makes, for all 32, the quads of columns `lane` and `lane + 8`.
// Rows of dy go by two at a time within a line of an image; a last one by itself is joined by zero.

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read> dy: array<vec4f>;

@compute @workgroup_size(8)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let index = params.firstGroup + group.y * groups.x + group.x;
  let slice = index / params.tiles;
  let tile = index % params.tiles;
  if (slice >= params.slices) { return; }
  let firstElement = tile / params.columnTiles * 32;
  let quad = tile % params.columnTiles * 16 + lane;
  let quads = params.columns / 4;
  // Quads beyond the last column are read as the last, and not written.
  let near = min(quad, quads - 1);
  let far = min(quad + 8, quads - 1) - near;
  let channelQuads = params.channels / 4;

  // Where this lane's elements are, relative to the patch of output pixel (0, 0).
  let element = min(firstElement + 4 * lane, params.elements - 4);
  let tap = element / params.channels;
  let tapH = i32(tap / params.tapsW) * params.tapStep + params.offsetH;
  let tapW = i32(tap % params.tapsW) * params.tapStep + params.offsetW;
  let channelQuad = element % params.channels / 4;

  // One loop, not a loop over lines around one over their pixels: a driver that keeps sums on the stack copies them all
  // whenever it enters or leaves a loop.
  var sums: array<array<Row, 8>, 4>;
  let last = min(params.rows, (slice + 1) * params.sliceRows);
  var row = slice * params.sliceRows;
  // The output pixel of `row`, counted on from line to line: a division takes a CPU longer than a step of the sum.
  let line = row / params.gridWidth;
  var outW = row % params.gridWidth;
  var outH = line % params.gridHeight;
  var image = line / params.gridHeight;
  while (row < last) {
    let h = u32(i32(outH) * params.step + tapH);
    let w = i32(outW) * params.step + tapW;
    let pixels = (image * params.height + h) * params.width;
    let second = row + 1 < last && outW + 1 < params.gridWidth;
    let a0 = pixelQuad(pixels, h, w, channelQuads, channelQuad);
    let a1 = select(vec4f(), pixelQuad(pixels, h, w + params.step, channelQuads, channelQuad), second);
    let g0 = row * quads + near;
    let g1 = select(g0, g0 + quads, second);
    let b0 = Row(dy[g0], dy[g0 + far]);
    let b1 = Row(dy[g1], dy[g1 + far]);
    addRows(&sums[0], vec2f(a0.x, a1.x), b0, b1);
    addRows(&sums[1], vec2f(a0.y, a1.y), b0, b1);
    addRows(&sums[2], vec2f(a0.z, a1.z), b0, b1);
    addRows(&sums[3], vec2f(a0.w, a1.w), b0, b1);

    let step = select(1u, 2, second);
    row += step;
    outW += step;
    let lineDone = outW == params.gridWidth;
    outW = select(outW, 0, lineDone);
    outH += u32(lineDone);
    let imageDone = outH == params.gridHeight;
    outH = select(outH, 0, imageDone);
    image += u32(imageDone);
  }

  // A copy to index in a loop, which the sums, held in registers, cannot be; a loop, since code for each element by itself
  // takes a driver many times as long to compile.
  var results = sums;
  for (var i = 0u; i < 32; i++) {
    let element = firstElement + i;
    if (element >= params.elements) { break; }
    let at = (slice * params.elements + element) * quads + quad;
    for (var v = 0u; v < 2; v++) {
      // Lane i / 4 loaded element i, as component i % 4.
      if (quad + 8 * v < quads) { finish(at + 8 * v, results[i % 4][i / 4][v]); }
    }
  }
}

// Four channels of pixel (h, w) of the image whose line h begins at `pixels`, zero outside.
fn pixelQuad(pixels: u32, h: u32, w: i32, channelQuads: u32, channelQuad: u32) -> vec4f {
  let inside = h < params.height && u32(w) < params.width;
  let at = select(0, (pixels + u32(w)) * channelQuads + channelQuad, inside);
  return select(vec4f(), x[at], inside);
}
