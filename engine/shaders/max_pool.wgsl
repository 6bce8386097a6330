// The greatest value of each kernelSize × kernelSize window of x, and where it lies. Behind width1.wgsl or width4.wgsl.
//
//   x:   [N, height, width, channels]
//   out: [N, outHeight, outWidth, channels]
//   winners: as out; y·width + x of the element that won, the one that takes the gradient
// PyTorch's rule: the first of equal values wins, in row-major order; a NaN wins over all before it; padding never wins.
// A thread makes one step of channels of PIXELS neighbouring outputs.
// LANES × RUNS threads: channels side by side, so that reads are contiguous, by runs of PIXELS. group.z counts channels.

struct Params {
  pixels: u32, // N · outHeight · outWidth
  height: u32, width: u32, channels: u32,
  outHeight: u32, outWidth: u32,
  kernelSize: u32, stride: u32, padding: u32,
}

const LANES: u32 = 16;
const RUNS: u32 = 4;
const PIXELS: u32 = 4;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Stored>;
@group(0) @binding(2) var<storage, read_write> out: array<Stored>;
@group(0) @binding(3) var<storage, read_write> winners: array<Indices>;

// Integers in the order of the floats they come from, -0 and 0 alike, every NaN above all numbers. (Comparing floats
// would not do: a WGSL compiler may assume that none is NaN.)
fn orderOf(values: Values) -> Indices {
  let bits = bitcast<Indices>(values);
  let magnitude = bits & Indices(0x7fffffff);
  let signed = select(Indices(0x80000000) + magnitude, Indices(0x80000000) - magnitude, bits > Indices(0x80000000));
  return select(signed, Indices(0xffffffff), magnitude > Indices(0x7f800000));
}

@compute @workgroup_size(LANES, RUNS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_id) local: vec3u) {
  let steps = params.channels / WIDTH;
  let step = group.z * LANES + local.x;
  if (step >= steps) { return; }
  let first = ((group.y * groups.x + group.x) * RUNS + local.y) * PIXELS;
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
    var best = Values();
    var bestOrder = Indices();
    var winner = Indices();
    for (var iy = top; iy < bottom; iy++) {
      for (var ix = left; ix < right; ix++) {
        let at = iy * params.width + ix;
        let values = Values(x[(origin + at) * steps + step]);
        let order = orderOf(values);
        let wins = (order > bestOrder) | (order == Indices(0xffffffff));
        best = select(best, values, wins);
        bestOrder = select(bestOrder, order, wins);
        winner = select(winner, Indices(at), wins);
      }
    }
    out[pixel * steps + step] = Stored(best);
    winners[pixel * steps + step] = winner;

    ox++;
    if (ox == params.outWidth) { ox = 0; oy++; }
    if (oy == params.outHeight) { oy = 0; image++; }
  }
}
