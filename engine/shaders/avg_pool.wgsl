// The mean of each window of adaptive average pooling. Behind width1.wgsl or width4.wgsl, and
// adaptive_windows.wgsl.
//
//   x:   [N, height, width, channels]
//   out: [N, outHeight, outWidth, channels]
// A thread makes one step of channels of one pixel of out.
// LANES × PIXELS threads: channels side by side, so that reads are contiguous, by pixels; group.z counts channels.

struct Params { pixels: u32, height: u32, width: u32, channels: u32, outHeight: u32, outWidth: u32 } // pixels of out

const LANES: u32 = 16;
const PIXELS: u32 = 4;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Stored>;
@group(0) @binding(2) var<storage, read_write> out: array<Values>;

@compute @workgroup_size(LANES, PIXELS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_id) local: vec3u) {
  let steps = params.channels / WIDTH;
  let step = group.z * LANES + local.x;
  let pixel = (group.y * groups.x + group.x) * PIXELS + local.y;
  if (step >= steps || pixel >= params.pixels) { return; }
  let ox = pixel % params.outWidth;
  let oy = pixel / params.outWidth % params.outHeight;
  let image = pixel / params.outWidth / params.outHeight;
  let top = windowStart(oy, params.height, params.outHeight);
  let bottom = windowEnd(oy, params.height, params.outHeight);
  let left = windowStart(ox, params.width, params.outWidth);
  let right = windowEnd(ox, params.width, params.outWidth);
  var sum = Values();
  for (var iy = top; iy < bottom; iy++) {
    for (var ix = left; ix < right; ix++) {
      sum += Values(x[((image * params.height + iy) * params.width + ix) * steps + step]);
    }
  }
  out[pixel * steps + step] = sum / f32((bottom - top) * (right - left));
}
