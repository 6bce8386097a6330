// dx = the sum of dy over the windows that an element won.
//
//   dy, winners: [N, outHeight, outWidth, channels]; winners as max_pool.wgsl writes it
//   dx: [N, height, width, channels]
// A thread makes one channel of PIXELS neighbouring inputs: it looks at all windows that contain the input.
// LANES: channels that a workgroup takes side by side, so that its reads are contiguous; group.z counts such tiles.

struct Params {
  pixels: u32, // N · height · width
  height: u32, width: u32, channels: u32,
  outHeight: u32, outWidth: u32,
  kernelSize: u32, stride: u32, padding: u32,
}

const LANES: u32 = 64;
const PIXELS: u32 = 8;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> dy: array<f32>;
@group(0) @binding(2) var<storage, read> winners: array<u32>;
@group(0) @binding(3) var<storage, read_write> dx: array<f32>;

// The first window that contains `place`, counted with the padding: the least i with i·stride + kernelSize > place.
fn firstWindow(place: u32) -> u32 {
  return (max(place + params.stride, params.kernelSize) - params.kernelSize) / params.stride;
}

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let channel = group.z * LANES + lane;
  if (channel >= params.channels) { return; }
  let first = (group.y * groups.x + group.x) * PIXELS;
  let end = min(first + PIXELS, params.pixels);
  var ix = first % params.width;
  var iy = first / params.width % params.height;
  var image = first / params.width / params.height;

  for (var pixel = first; pixel < end; pixel++) {
    let own = iy * params.width + ix;
    let left = firstWindow(ix + params.padding);
    var sum = 0.0;
    for (var oy = firstWindow(iy + params.padding); oy < params.outHeight; oy++) {
      if (oy * params.stride > iy + params.padding) { break; }
      for (var ox = left; ox < params.outWidth; ox++) {
        if (ox * params.stride > ix + params.padding) { break; }
        let at = ((image * params.outHeight + oy) * params.outWidth + ox) * params.channels + channel;
        if (winners[at] == own) { sum += dy[at]; }
      }
    }
    dx[pixel * params.channels + channel] = sum;

    ix++;
    if (ix == params.width) { ix = 0; iy++; }
    if (iy == params.height) { iy = 0; image++; }
  }
}
