// out = patches(x) · weight in half precision by matrix cores (gemm_matrix_cores.wgsl, which comes first), sums in f32;
// see gemm_patches.wgsl for the patches and the layout of every binding, gemm_epilogue.wgsl for what follows.
//
// Of any size. A workgroup makes a tile of TILE × TILE: its subgroups share out the blocks of M × N that it falls into.
// The depth, all taps and channels in one, goes by in steps of DEPTH, for which the workgroup stages both operands in its
// memory; the sums go through that memory too, a block of each subgroup at a time, as only there is it known which element
// a lane has.

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Element>;
@group(0) @binding(2) var<storage, read> weight: array<Element>;

alias Outputs = f32;
alias Stored = Element;

// Multiples of any M and N, and of any K.
const TILE: u32 = 64;
const DEPTH: u32 = 32;
// A multiple of every subgroup's size.
const THREADS: u32 = 128;
const SUBGROUPS: u32 = THREADS / SUBGROUP;
const BLOCKS_ACROSS: u32 = TILE / N;
// Of each subgroup.
const BLOCKS: u32 = TILE / M * BLOCKS_ACROSS / SUBGROUPS;

var<workgroup> xTile: array<f16, TILE * DEPTH>; // [TILE, DEPTH]
var<workgroup> weightTile: array<f16, DEPTH * TILE>; // [DEPTH, TILE]
var<workgroup> sumTile: array<f32, SUBGROUPS * M * N>; // [SUBGROUPS, M, N]

@compute @workgroup_size(THREADS)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) thread: u32,
  @builtin(subgroup_id) subgroup: u32,
) {
  let tile = params.firstGroup + group.y * groups.x + group.x;
  if (tile >= params.tiles) { return; }
  let firstRow = tile / params.columnTiles * TILE;
  let firstColumn = tile % params.columnTiles * TILE;
  let firstBlock = subgroup * BLOCKS;
  let depth = params.tapsH * params.tapsW * params.depth;

  var sums: array<Sums, BLOCKS>;
  for (var start = 0u; start < depth; start += DEPTH) {
    // This thread stages depth `thread % DEPTH` of every fourth row, and column `thread % TILE` of every second step.
    let k = start + thread % DEPTH;
    let tapH = k / params.depth / params.tapsW;
    let tapW = k / params.depth % params.tapsW;
    for (var row = thread / DEPTH; row < TILE; row += THREADS / DEPTH) {
      let pixel = pixelUnder(originOf(min(firstRow + row, params.rows - 1)), tapH, tapW);
      let inside = pixel != OUTSIDE && k < depth;
      let at = select(0, pixel * params.pixelStride + k % params.depth, inside);
      xTile[row * DEPTH + thread % DEPTH] = select(f16(), x[at], inside);
    }
    let column = firstColumn + thread % TILE;
    for (var step = thread / TILE; step < DEPTH; step += THREADS / TILE) {
      let tap = (start + step) / params.depth;
      let inside = column < params.columns && start + step < depth;
      let row = weightTap(tap / params.tapsW, tap % params.tapsW) * params.depth + (start + step) % params.depth;
      weightTile[step * TILE + thread % TILE] = select(f16(), weight[select(0, row * params.columns + column, inside)], inside);
    }
    workgroupBarrier();
    for (var step = 0u; step < DEPTH; step += K) {
      for (var i = 0u; i < BLOCKS; i++) {
        let block = firstBlock + i;
        let a = left(block / BLOCKS_ACROSS * M * DEPTH + step);
        let b = right(step * TILE + block % BLOCKS_ACROSS * N);
        sums[i] = plus(sums[i], a, b);
      }
    }
    workgroupBarrier();
  }

  for (var i = 0u; i < BLOCKS; i++) {
    keep(sums[i], subgroup * M * N);
    workgroupBarrier();
    for (var element = thread; element < SUBGROUPS * M * N; element += THREADS) {
      let block = element / (M * N) * BLOCKS + i;
      let row = firstRow + block / BLOCKS_ACROSS * M + element / N % M;
      let column = firstColumn + block % BLOCKS_ACROSS * N + element % N;
      if (row < params.rows && column < params.columns) {
        finish(sumTile[element], affineOf(column), outPixel(row) * params.columns + column);
      }
    }
    workgroupBarrier();
  }
}
