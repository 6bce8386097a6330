// The gradient of a convolution's input from what each output pixel gives each element of its patch (col2im).
//
//   columns: [images, outHeight, outWidth, pitch], of which the first are [kernelHeight, kernelWidth, channels]
//   dx:      [images, height, width, channels]
// A thread makes four channels of one pixel, or as many as there are: the sums over the patches that saw it. `size` is
// the number of threads that have work.

struct Params {
  size: u32,
  height: u32, width: u32, channels: u32,
  outHeight: u32, outWidth: u32, pitch: u32,
  kernelHeight: u32, kernelWidth: u32,
  stride: u32, padding: u32, dilation: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> columns: array<f32>;
@group(0) @binding(2) var<storage, read_write> dx: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = (group.y * groups.x + group.x) * 64 + lane;
  if (i >= params.size) { return; }
  let quads = (params.channels + 3) / 4;
  let channel = i % quads * 4;
  let pixel = i / quads;
  let line = pixel / params.width;
  let image = line / params.height * params.outHeight;
  let h = line % params.height + params.padding;
  let w = pixel % params.width + params.padding;

  var sum = vec4f();
  let endH = min(h / params.stride + 1, params.outHeight);
  let endW = min(w / params.stride + 1, params.outWidth);
  for (var oh = firstOver(h, params.kernelHeight); oh < endH; oh++) {
    let kh = tapAt(h - oh * params.stride);
    if (kh == NONE) { continue; }
    for (var ow = firstOver(w, params.kernelWidth); ow < endW; ow++) {
      let kw = tapAt(w - ow * params.stride);
      if (kw == NONE) { continue; }
      let row = (image + oh) * params.outWidth + ow;
      let at = row * params.pitch + (kh * params.kernelWidth + kw) * params.channels + channel;
      for (var c = 0u; c < 4; c++) {
        if (channel + c < params.channels) { sum[c] += columns[at + c]; }
      }
    }
  }
  for (var c = 0u; c < 4; c++) {
    if (channel + c < params.channels) { dx[pixel * params.channels + channel + c] = sum[c]; }
  }
}

const NONE: u32 = 0xffffffff;

// The first output, along one axis, whose window reaches as far as `position` of the padded image.
fn firstOver(position: u32, kernel: u32) -> u32 {
  let reach = (kernel - 1) * params.dilation;
  return select(0, (position - reach + params.stride - 1) / params.stride, position > reach);
}

// The tap that is `distance` pixels into the window, or NONE.
fn tapAt(distance: u32) -> u32 {
  if (params.dilation == 1) { return distance; }
  let tap = distance / params.dilation;
  return select(NONE, tap, tap * params.dilation == distance);
}
