// The mean of each window of adaptive average pooling. Behind adaptive_windows.wgsl.
//
//   x:   [N, height, width, channels]
//   out: [N, outHeight, outWidth, channels]
// A thread makes one element of out, a workgroup LANES neighbouring channels of one pixel; group.z counts such tiles.

struct Params { pixels: u32, height: u32, width: u32, channels: u32, outHeight: u32, outWidth: u32 } // pixels of out

const LANES: u32 = 64;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let channel = group.z * LANES + lane;
  let pixel = group.y * groups.x + group.x;
  if (channel >= params.channels || pixel >= params.pixels) { return; }
  let ox = pixel % params.outWidth;
  let oy = pixel / params.outWidth % params.outHeight;
  let image = pixel / params.outWidth / params.outHeight;
  let top = windowStart(oy, params.height, params.outHeight);
  let bottom = windowEnd(oy, params.height, params.outHeight);
  let left = windowStart(ox, params.width, params.outWidth);
  let right = windowEnd(ox, params.width, params.outWidth);
  var sum = 0.0;
  for (var iy = top; iy < bottom; iy++) {
    for (var ix = left; ix < right; ix++) {
      sum += x[((image * params.height + iy) * params.width + ix) * params.channels + channel];
    }
  }
  out[pixel * params.channels + channel] = sum / f32((bottom - top) * (right - left));
}
