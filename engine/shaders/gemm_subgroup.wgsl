// out = patches(x) · weight; see gemm_patches.wgsl for the patches, gemm_subgroup_rows.wgsl for the idea,
// gemm_epilogue.wgsl for what follows the product.
//
// Needs columns in fours, and pixels of x that begin at even floats. A workgroup of 8 lanes makes 32 rows × 64 columns; a
// lane makes, in all the rows, the quads of columns `lane` and `lane + 8`. Or, with three pairs as a lane's Row, 48 columns:
// the pairs `lane`, `lane + 8` and `lane + 16`. WIDTH is the columns of a part of a Row.

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec2<Element>>;
@group(0) @binding(2) var<storage, read> weight: array<Stored>;

alias Outputs = Part;
alias Stored = vec4<Element>;

const WIDTH: u32 = 4;

@compute @workgroup_size(8)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let tile = params.firstGroup + group.y * groups.x + group.x;
  if (tile >= params.tiles) { return; }
  let firstRow = tile / params.columnTiles * 32;
  let part = tile % params.columnTiles * 8 * PARTS + lane;
  let parts = params.columns / WIDTH;
  // Parts beyond the last column are read as the last, and not written.
  var near: array<u32, PARTS>;
  for (var v = 0u; v < PARTS; v++) { near[v] = min(part + 8 * v, parts - 1); }

  // Lane i loads the patches of rows i, i + 8, i + 16 and i + 24.
  var origins: array<Origin, 4>;
  for (var r = 0u; r < 4; r++) { origins[r] = originOf(min(firstRow + 8 * r + lane, params.rows - 1)); }

  // One loop over taps and channels, not a loop within loops: a driver that keeps sums on the stack copies them all
  // whenever it enters or leaves a loop.
  var sums: array<array<Row, 8>, 4>;
  var inside: array<bool, 4>;
  var pair: array<u32, 4>;
  var w = 0u;
  let pairs = (params.depth + 1) / 2;
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
      w = weightTap(tapH, tapW) * params.depth * parts;
    }
    var a: array<vec2f, 4>;
    let whole = 2 * k + 1 < params.depth; // or half a pair: what follows an odd depth is no part of it
    for (var r = 0u; r < 4; r++) { a[r] = select(vec2f(), vec2f(x[pair[r] + k]), vec2(inside[r], inside[r] && whole)); }
    let next = select(w, w + parts, whole);
    var b0: Row;
    var b1: Row;
    for (var v = 0u; v < PARTS; v++) {
      b0[v] = Part(weight[w + near[v]]);
      b1[v] = Part(weight[next + near[v]]);
    }
    addRows(&sums[0], a[0], b0, b1);
    addRows(&sums[1], a[1], b0, b1);
    addRows(&sums[2], a[2], b0, b1);
    addRows(&sums[3], a[3], b0, b1);
    w += 2 * parts;
    k++;
  }

  // The first row of each eight is written, then the others move up: an index that is no constant would keep the sums from
  // registers, and code for each row by itself takes a driver many times as long to compile.
  var affines: array<Affine, PARTS>;
  for (var v = 0u; v < PARTS; v++) { affines[v] = affineOf(near[v]); }
  var pixels: array<u32, 4>;
  for (var r = 0u; r < 4; r++) { pixels[r] = outPixel(firstRow + 8 * r + lane); }
  let count = min(8, params.rows - firstRow); // not constant, so that the loop stays a loop
  for (var i = 0u; i < count; i++) {
    for (var r = 0u; r < 4; r++) {
      let at = subgroupShuffle(pixels[r], i) * parts + part;
      if (firstRow + 8 * r + i < params.rows) {
        for (var v = 0u; v < PARTS; v++) {
          if (part + 8 * v < parts) { finish(sums[r][0][v], affines[v], at + 8 * v); }
        }
      }
      for (var next = 1u; next < 8; next++) { sums[r][next - 1] = sums[r][next]; }
    }
  }
}
