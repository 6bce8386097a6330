// out = patches(x) · weight; see gemm_patches.wgsl for the patches and the layout of every binding, gemm_epilogue.wgsl
// for what follows the product.
//
// For any device and any size. A workgroup makes a tile of 16 ROWS rows × 64 columns, a thread ROWS × 4 of it: rows
// threadRow + 16 i, columns threadColumn + 16 j. The depth, all taps and channels in one, goes by in steps of DEPTH,
// for which the workgroup stages both operands in its memory. Slices of sliceDepth, a multiple of DEPTH, follow each other.
// Where there are several, out is [slices, rows, columns], floats (`Stored`), and nothing follows: gemm_join.wgsl goes on.
//
//   TRANSPOSED: 0 for a weight [taps, depth, columns], 1 for [taps, columns, depth]
//   ROWS: many share each element of the weight that is loaded; few make more workgroups of a small product

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Element>;
@group(0) @binding(2) var<storage, read> weight: array<Element>;

alias Outputs = f32;
alias Stored = Element;

const TRANSPOSED: u32 = 0;
const ROWS: u32 = 4;
const TILE: u32 = 64;
const DEPTH: u32 = 16;
// Rows of the staged tiles are this far apart, so that threads which write a column meet different memory banks.
const X_PITCH: u32 = 16 * ROWS + 1;
const PITCH: u32 = TILE + 1;

var<workgroup> xTile: array<f32, DEPTH * X_PITCH>;
var<workgroup> weightTile: array<f32, DEPTH * PITCH>;

// Where in a weight [taps, depth, columns], taken as a matrix of `columns`, step k of the sum is.
fn weightRow(k: u32) -> u32 {
  if (params.tapsW == params.kernelWidth && params.weightTapStep == 1) {
    return params.firstTapH * params.kernelWidth * params.depth + k;
  }
  let tap = k / params.depth;
  return weightTap(tap / params.tapsW, tap % params.tapsW) * params.depth + k % params.depth;
}

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let index = params.firstGroup + group.y * groups.x + group.x;
  let slice = index / params.tiles;
  let tile = index % params.tiles;
  if (slice >= params.slices) { return; }
  let firstRow = tile / params.columnTiles * 16 * ROWS;
  let firstColumn = tile % params.columnTiles * TILE;
  let alongDepth = thread % DEPTH;
  let across = thread / DEPTH;

  // This thread stages, of every step, depth `alongDepth` of rows `across + 16 i`.
  var origins: array<Origin, ROWS>;
  for (var i = 0u; i < ROWS; i++) { origins[i] = originOf(min(firstRow + across + 16 * i, params.rows - 1)); }

  let depth = min(params.tapsH * params.tapsW * params.depth, (slice + 1) * params.sliceDepth);
  var sums: array<vec4f, ROWS>;
  for (var start = slice * params.sliceDepth; start < depth; start += DEPTH) {
    let k = start + alongDepth;
    let tap = k / params.depth;
    let channel = k % params.depth;
    let tapH = tap / params.tapsW;
    let tapW = tap % params.tapsW;
    for (var i = 0u; i < ROWS; i++) {
      let pixel = pixelUnder(origins[i], tapH, tapW);
      let inside = pixel != OUTSIDE && k < depth;
      let at = select(0, pixel * params.pixelStride + channel, inside);
      xTile[alongDepth * X_PITCH + across + 16 * i] = select(0, f32(x[at]), inside);
    }
    if (TRANSPOSED == 1) {
      let first = weightTap(tapH, tapW) * params.columns * params.depth + channel;
      for (var i = 0u; i < 4; i++) {
        let column = firstColumn + across + 16 * i;
        let inside = column < params.columns && k < depth;
        let at = select(0, first + column * params.depth, inside);
        weightTile[alongDepth * PITCH + across + 16 * i] = select(0, f32(weight[at]), inside);
      }
    } else {
      let column = firstColumn + thread % TILE;
      for (var i = 0u; i < 4; i++) {
        let row = thread / TILE + 4 * i;
        let inside = column < params.columns && start + row < depth;
        let at = select(0, weightRow(start + row) * params.columns + column, inside);
        weightTile[row * PITCH + thread % TILE] = select(0, f32(weight[at]), inside);
      }
    }
    workgroupBarrier();
    // A count that is not constant: unrolled by DEPTH, the loop takes a software adapter ten times as long to compile.
    let steps = min(DEPTH, depth - start);
    for (var d = 0u; d < steps; d++) {
      let a = d * X_PITCH + thread / 16;
      let b = d * PITCH + thread % 16;
      let w = vec4f(weightTile[b], weightTile[b + 16], weightTile[b + 32], weightTile[b + 48]);
      for (var i = 0u; i < ROWS; i++) { sums[i] += xTile[a + 16 * i] * w; }
    }
    workgroupBarrier();
  }

  for (var i = 0u; i < ROWS; i++) {
    let row = firstRow + thread / 16 + 16 * i;
    if (row >= params.rows) { break; }
    let first = select(outPixel(row), slice * params.rows + row, params.slices > 1) * params.columns;
    let sum = sums[i];
    // Again a count that is not constant, for the sake of the compiler.
    let last = min(params.columns, firstColumn + TILE);
    var j = 0u;
    for (var column = firstColumn + thread % 16; column < last; column += 16) {
      finish(sum[j], affineOf(column), first + column);
      j++;
    }
  }
}
