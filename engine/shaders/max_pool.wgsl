// The greatest value of each kernelSize × kernelSize window of x, and where it lies. Behind numbers.wgsl.
//
//   x:   [N, height, width, channels]
//   out: [N, outHeight, outWidth, channels]
//   winners: as out; y·width + x of the element that won, the one that takes the gradient
// PyTorch's rule: the first of equal values wins, in row-major order; a NaN wins over all before it. Padding never wins.
// A thread makes one channel of PIXELS neighbouring outputs.
// LANES: channels that a workgroup takes side by side, so that its reads are contiguous; group.z counts such tiles.

struct Params {
  pixels: u32, // N · outHeight · outWidth
  height: u32, width: u32, channels: u32,
  outHeight: u32, outWidth: u32,
  kernelSize: u32, stride: u32, padding: u32,
}

const LANES: u32 = 64;
const PIXELS: u32 = 8;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(0) @binding(3) var<storage, read_write> winners: array<u32>;

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let channel = group.z * LANES + lane;
  if (channel >= params.channels) { return; }
  let first = (group.y * groups.x + group.x) * PIXELS;
  let end = min(first + PIXELS, params.pixels);
  var ox = first % params.outWidth;
  var oy = first / params.outWidth % params.outHeight;
  var image = first / params.outWidth / params.outHeight;

  for (var pixel = first; pixel < end; pixel++) {
    // Edges of the window, cut to the image. Padding is at most half a window, so something is left.
    let top = max(oy * params.stride, params.padding) - params.padding;
    let left = max(ox * params.stride, params.padding) - params.padding;
    let bottom = min(oy * params.stride + params.kernelSize - params.padding, params.height);
    let right = min(ox * params.stride + params.kernelSize - params.padding, params.width);
    let origin = image * params.height * params.width;
    var winner = top * params.width + left;
    var best = x[(origin + winner) * params.channels + channel];
    for (var iy = top; iy < bottom; iy++) {
      for (var ix = left; ix < right; ix++) {
        let at = iy * params.width + ix;
        let value = x[(origin + at) * params.channels + channel];
        if (isNan(value) || (value > best && !isNan(best))) {
          best = value;
          winner = at;
        }
      }
    }
    out[pixel * params.channels + channel] = best;
    winners[pixel * params.channels + channel] = winner;

    ox++;
    if (ox == params.outWidth) { ox = 0; oy++; }
    if (oy == params.outHeight) { oy = 0; image++; }
  }
}
