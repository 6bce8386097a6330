// patches(x)ᵀ · dy: the gradient of a convolution's weight, a sum over all output pixels. See gemm_over_rows_params.wgsl
// for the layout of every binding; a source behind this one has `finish`.
//
// For any device and any size. A workgroup makes a tile of 64 patch elements × 64 columns of one slice, a thread 4 × 4
// of it: elements thread / 16 + 16 i, columns thread % 16 + 16 j. The rows go by in steps of DEPTH, for which the
// workgroup stages both operands in its memory.

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> dy: array<f32>;

const TILE: u32 = 64;
const DEPTH: u32 = 16;

var<workgroup> xTile: array<f32, DEPTH * TILE>;
var<workgroup> dyTile: array<f32, DEPTH * TILE>;

// An element of every patch: its place within the patch, and its channel. `valid` is false beyond the last one.
struct Element { h: i32, w: i32, channel: u32, valid: bool }

fn elementOf(element: u32) -> Element {
  let tap = element / params.channels;
  let h = i32(tap / params.tapsW) * params.tapStep + params.offsetH;
  let w = i32(tap % params.tapsW) * params.tapStep + params.offsetW;
  return Element(h, w, element % params.channels, element < params.elements);
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
  let firstElement = tile / params.columnTiles * TILE;
  let firstColumn = tile % params.columnTiles * TILE;
  let last = min(params.rows, (slice + 1) * params.sliceRows);

  // This thread stages, of every step, row `thread / 16` of elements and columns `thread % 16 + 16 i`.
  var elements: array<Element, 4>;
  for (var i = 0u; i < 4; i++) { elements[i] = elementOf(firstElement + thread % 16 + 16 * i); }

  var sums: array<vec4f, 4>;
  for (var start = slice * params.sliceRows; start < last; start += DEPTH) {
    let row = start + thread / 16;
    let line = row / params.gridWidth;
    let rowH = i32(line % params.gridHeight) * params.step;
    let rowW = i32(row % params.gridWidth) * params.step;
    let image = line / params.gridHeight * params.height;
    for (var i = 0u; i < 4; i++) {
      let h = u32(rowH + elements[i].h);
      let w = u32(rowW + elements[i].w);
      let inside = h < params.height && w < params.width && row < last && elements[i].valid;
      let at = select(0, ((image + h) * params.width + w) * params.channels + elements[i].channel, inside);
      xTile[thread / 16 * TILE + thread % 16 + 16 * i] = select(0, x[at], inside);
    }
    for (var i = 0u; i < 4; i++) {
      let column = firstColumn + thread % 16 + 16 * i;
      let inside = row < last && column < params.columns;
      let at = select(0, row * params.columns + column, inside);
      dyTile[thread / 16 * TILE + thread % 16 + 16 * i] = select(0, dy[at], inside);
    }
    workgroupBarrier();
    // A count that is not constant: unrolled by DEPTH, the loop takes a software adapter ten times as long to compile.
    let steps = min(DEPTH, last - start);
    for (var d = 0u; d < steps; d++) {
      let a = d * TILE + thread / 16;
      let b = d * TILE + thread % 16;
      let g = vec4f(dyTile[b], dyTile[b + 16], dyTile[b + 32], dyTile[b + 48]);
      for (var i = 0u; i < 4; i++) { sums[i] += xTile[a + 16 * i] * g; }
    }
    workgroupBarrier();
  }

  for (var i = 0u; i < 4; i++) {
    let element = firstElement + thread / 16 + 16 * i;
    if (element >= params.elements) { break; }
    for (var j = 0u; j < 4; j++) {
      let column = firstColumn + thread % 16 + 16 * j;
      if (column >= params.columns) { break; }
      finish((slice * params.elements + element) * params.columns + column, sums[i][j]);
    }
  }
}
