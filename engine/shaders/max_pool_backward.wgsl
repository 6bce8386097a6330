// dx = the sum of dy over the windows that an element won. Behind width1.wgsl or width4.wgsl.
//
//   dy, winners: [N, outHeight, outWidth, channels]; winners as max_pool.wgsl writes it
//   dx: [N, height, width, channels]
// A thread makes one step of channels of a block of stride × stride inputs: counted with the padding, block b covers
// [b·stride, (b + 1)·stride) along an axis, and b is the last window that can contain its inputs. So a thread finds the
// windows of an input without dividing.
// LANES × BLOCKS threads: channels side by side, so that reads are contiguous, by blocks; group.z counts channels.

struct Params {
  blocks: u32, blockRows: u32, blockColumns: u32, // blocks = N · blockRows · blockColumns
  height: u32, width: u32, channels: u32,
  outHeight: u32, outWidth: u32,
  kernelSize: u32, stride: u32, padding: u32,
}

const LANES: u32 = 16;
const BLOCKS: u32 = 4;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> dy: array<Values>;
@group(0) @binding(2) var<storage, read> winners: array<Indices>;
@group(0) @binding(3) var<storage, read_write> dx: array<Values>;

// The first window that contains place `offset` of block `block`: the least i with i·stride + kernelSize > place.
fn firstWindow(block: u32, offset: u32) -> u32 {
  var i = block;
  var reach = offset + params.stride; // from the start of window i - 1 to the place
  while (i > 0 && reach < params.kernelSize) {
    i--;
    reach += params.stride;
  }
  return i;
}

@compute @workgroup_size(LANES, BLOCKS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_id) local: vec3u) {
  let steps = params.channels / WIDTH;
  let step = group.z * LANES + local.x;
  let block = (group.y * groups.x + group.x) * BLOCKS + local.y;
  if (step >= steps || block >= params.blocks) { return; }
  let column = block % params.blockColumns;
  let row = block / params.blockColumns % params.blockRows;
  let image = block / params.blockColumns / params.blockRows;
  let bottom = min(row + 1, params.outHeight);
  let right = min(column + 1, params.outWidth);

  for (var below = 0u; below < params.stride; below++) {
    let py = row * params.stride + below; // with padding
    if (py < params.padding || py >= params.height + params.padding) { continue; }
    let top = firstWindow(row, below);
    for (var beside = 0u; beside < params.stride; beside++) {
      let px = column * params.stride + beside;
      if (px < params.padding || px >= params.width + params.padding) { continue; }
      let left = firstWindow(column, beside);
      let own = (py - params.padding) * params.width + px - params.padding;
      var sum = Values();
      for (var oy = top; oy < bottom; oy++) {
        for (var ox = left; ox < right; ox++) {
          let at = ((image * params.outHeight + oy) * params.outWidth + ox) * steps + step;
          sum += select(Values(), dy[at], winners[at] == Indices(own));
        }
      }
      dx[(image * params.height * params.width + own) * steps + step] = sum;
    }
  }
}
