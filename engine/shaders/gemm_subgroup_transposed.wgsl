// out = patches(x) · weight with a weight [taps, columns, depth]; see gemm_patches.wgsl for the patches,
// gemm_subgroup_rows.wgsl for the idea, gemm_epilogue.wgsl for what follows the product.
//
// Needs an even depth. A workgroup of 8 lanes makes 32 rows × 64 columns; a lane makes, in all the rows, the columns
// `lane` + 8 c, c < 8: element c % 4 of its quad c / 4.

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec2<Element>>;
@group(0) @binding(2) var<storage, read> weight: array<vec2<Element>>;

alias Outputs = f32;
alias Stored = Element;

@compute @workgroup_size(8)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let tile = params.firstGroup + group.y * groups.x + group.x;
  if (tile >= params.tiles) { return; }
  let firstRow = tile / params.columnTiles * 32;
  let column = tile % params.columnTiles * 64 + lane;

  // Lane i loads the patches of rows i, i + 8, i + 16 and i + 24.
  var origins: array<Origin, 4>;
  for (var r = 0u; r < 4; r++) { origins[r] = originOf(min(firstRow + 8 * r + lane, params.rows - 1)); }

  // One loop over taps and channels, not a loop within loops: a driver that keeps sums on the stack copies them all
  // whenever it enters or leaves a loop.
  var sums: array<array<Row, 8>, 4>;
  var inside: array<bool, 4>;
  var pair: array<u32, 4>;
  var w: array<u32, 8>;
  let pairs = params.depth / 2;
  var tap = 0u;
  var k = pairs;
  for (var steps = params.tapsH * params.tapsW * pairs; steps > 0; steps--) {
    if (k == pairs) {
      k = 0;
      let tapH = tap / params.tapsW;
      let tapW = tap % params.tapsW;
      tap++;
      for (var r = 0u; r < 4; r++) {
        let pixel = pixelUnder(origins[r], tapH, tapW);
        inside[r] = pixel != OUTSIDE;
        pair[r] = select(0, pixel * params.pixelStride / 2, inside[r]);
      }
      let firstColumn = weightTap(tapH, tapW) * params.columns;
      for (var c = 0u; c < 8; c++) { w[c] = (firstColumn + min(column + 8 * c, params.columns - 1)) * pairs; }
    }
    var a: array<vec2f, 4>;
    for (var r = 0u; r < 4; r++) { a[r] = select(vec2f(), vec2f(x[pair[r] + k]), inside[r]); }
    var b: array<vec2f, 8>;
    for (var c = 0u; c < 8; c++) { b[c] = vec2f(weight[w[c] + k]); }
    let b0 = Row(vec4f(b[0].x, b[1].x, b[2].x, b[3].x), vec4f(b[4].x, b[5].x, b[6].x, b[7].x));
    let b1 = Row(vec4f(b[0].y, b[1].y, b[2].y, b[3].y), vec4f(b[4].y, b[5].y, b[6].y, b[7].y));
    addRows(&sums[0], a[0], b0, b1);
    addRows(&sums[1], a[1], b0, b1);
    addRows(&sums[2], a[2], b0, b1);
    addRows(&sums[3], a[3], b0, b1);
    k++;
  }

  // A copy to index in a loop, which the sums, held in registers, cannot be; a loop, since code for each row by itself
  // takes a driver many times as long to compile.
  var results = sums;
  var pixel = 0u;
  // Counts that are not constant, so that the loops stay loops.
  let count = min(32, params.rows - firstRow);
  let last = min(params.columns, column + 64);
  for (var i = 0u; i < count; i++) {
    if (i % 8 == 0) { pixel = outPixel(firstRow + i + lane); }
    let at = subgroupShuffle(pixel, i % 8) * params.columns + column;
    for (var c = 0u; column + 8 * c < last; c++) {
      finish(results[i / 8][i % 8][c / 4][c % 4], affineOf(column + 8 * c), at + 8 * c);
    }
  }
}
