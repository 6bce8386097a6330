// dx = the sum, over the windows that contain an element, of dy / area. Behind width1.wgsl or
// width4.wgsl, and adaptive_windows.wgsl.
//
//   dy: [N, outHeight, outWidth, channels]
//   dx: [N, height, width, channels]
// A thread makes one step of channels of one pixel of dx.
// LANES × PIXELS threads: channels side by side, so that reads are contiguous, by pixels; group.z counts channels.

struct Params { pixels: u32, height: u32, width: u32, channels: u32, outHeight: u32, outWidth: u32 } // pixels of dx

const LANES: u32 = 16;
const PIXELS: u32 = 4;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> dy: array<Values>;
@group(0) @binding(2) var<storage, read_write> dx: array<Values>;

@compute @workgroup_size(LANES, PIXELS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_id) local: vec3u) {
  let steps = params.channels / WIDTH;
  let step = group.z * LANES + local.x;
  let pixel = (group.y * groups.x + group.x) * PIXELS + local.y;
  if (step >= steps || pixel >= params.pixels) { return; }
  let ix = pixel % params.width;
  let iy = pixel / params.width % params.height;
  let image = pixel / params.width / params.height;
  let bottom = windowEnd(iy, params.outHeight, params.height);
  let right = windowEnd(ix, params.outWidth, params.width);
  var sum = Values();
  for (var oy = windowStart(iy, params.outHeight, params.height); oy < bottom; oy++) {
    let tall = windowEnd(oy, params.height, params.outHeight) - windowStart(oy, params.height, params.outHeight);
    for (var ox = windowStart(ix, params.outWidth, params.width); ox < right; ox++) {
      let wide = windowEnd(ox, params.width, params.outWidth) - windowStart(ox, params.width, params.outWidth);
      let at = ((image * params.outHeight + oy) * params.outWidth + ox) * steps + step;
      sum += dy[at] / f32(tall * wide);
    }
  }
  dx[pixel * steps + step] = sum;
}
