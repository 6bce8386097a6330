// dx = the sum, over the windows that contain an element, of dy / area. Behind adaptive_windows.wgsl.
//
//   dy: [N, outHeight, outWidth, channels]
//   dx: [N, height, width, channels]
// A thread makes one element of dx, a workgroup LANES neighbouring channels of one pixel; group.z counts such tiles.

struct Params { pixels: u32, height: u32, width: u32, channels: u32, outHeight: u32, outWidth: u32 } // pixels of dx

const LANES: u32 = 64;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> dy: array<f32>;
@group(0) @binding(2) var<storage, read_write> dx: array<f32>;

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let channel = group.z * LANES + lane;
  let pixel = group.y * groups.x + group.x;
  if (channel >= params.channels || pixel >= params.pixels) { return; }
  let ix = pixel % params.width;
  let iy = pixel / params.width % params.height;
  let image = pixel / params.width / params.height;
  let bottom = windowEnd(iy, params.outHeight, params.height);
  let right = windowEnd(ix, params.outWidth, params.width);
  var sum = 0.0;
  for (var oy = windowStart(iy, params.outHeight, params.height); oy < bottom; oy++) {
    let tall = windowEnd(oy, params.height, params.outHeight) - windowStart(oy, params.height, params.outHeight);
    for (var ox = windowStart(ix, params.outWidth, params.width); ox < right; ox++) {
      let wide = windowEnd(ox, params.width, params.outWidth) - windowStart(ox, params.width, params.outWidth);
      let at = ((image * params.outHeight + oy) * params.outWidth + ox) * params.channels + channel;
      sum += dy[at] / f32(tall * wide);
    }
  }
  dx[pixel * params.channels + channel] = sum;
}
