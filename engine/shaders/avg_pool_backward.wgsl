// dx = the sum, over the windows that contain an element, of dy / area. Behind width1.wgsl or
// width4.wgsl, and adaptive_windows.wgsl.
//
//   dy: [N, outHeight, outWidth, channels]
//   dx: [N, height, width, channels]
// A thread makes one step of channels of one run: the pixels of a line of dx whose last window along it is ox. It divides
// for the whole run, not for each pixel: what ox's windows give is the same for all, and only the first few pixels, which
// the windows before reach, add more.
// LANES × RUNS threads: channels side by side, so that reads are contiguous, by runs; group.z counts channels.

// runs = N · height · outWidth
struct Params { runs: u32, height: u32, width: u32, channels: u32, outHeight: u32, outWidth: u32 }

const LANES: u32 = 16;
const RUNS: u32 = 4;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> dy: array<Values>;
@group(0) @binding(2) var<storage, read_write> dx: array<Values>;

// What the windows of column ox from line `top` to before `bottom` give each pixel in all of them.
fn givenBy(ox: u32, image: u32, top: u32, bottom: u32, steps: u32, step: u32) -> Values {
  let wide = windowEnd(ox, params.width, params.outWidth) - windowStart(ox, params.width, params.outWidth);
  var sum = Values();
  for (var oy = top; oy < bottom; oy++) {
    let tall = windowEnd(oy, params.height, params.outHeight) - windowStart(oy, params.height, params.outHeight);
    sum += dy[((image * params.outHeight + oy) * params.outWidth + ox) * steps + step] / f32(tall * wide);
  }
  return sum;
}

@compute @workgroup_size(LANES, RUNS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_id) local: vec3u) {
  let steps = params.channels / WIDTH;
  let step = group.z * LANES + local.x;
  let run = (group.y * groups.x + group.x) * RUNS + local.y;
  if (step >= steps || run >= params.runs) { return; }
  let ox = run % params.outWidth;
  let line = run / params.outWidth;
  let iy = line % params.height;
  let image = line / params.height;
  let top = windowStart(iy, params.outHeight, params.height);
  let bottom = windowEnd(iy, params.outHeight, params.height);
  let end = windowStart(ox + 1, params.width, params.outWidth);
  var endBefore = 0u;
  if (ox > 0) { endBefore = windowEnd(ox - 1, params.width, params.outWidth); }

  let own = givenBy(ox, image, top, bottom, steps, step);
  for (var ix = windowStart(ox, params.width, params.outWidth); ix < end; ix++) {
    var sum = own;
    if (ix < endBefore) {
      for (var before = windowStart(ix, params.outWidth, params.width); before < ox; before++) {
        sum += givenBy(before, image, top, bottom, steps, step);
      }
    }
    dx[(line * params.width + ix) * steps + step] = sum;
  }
}
