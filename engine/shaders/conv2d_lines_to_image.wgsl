// The gradient of a convolution's input from what each line of outputs gives to each line of their windows: the sums
// where windows lie upon each other vertically (col2im, of which the other direction is done already).
//
//   lines: [images, outHeight, blocks, pitch], of which the first are [kernelHeight, block], block = stride · channels
//   dx:    [images, height, width, channels]
// Line kh of the windows of output line oh is line oh · stride + kh of the padded image; its floats, `blocks` · block of
// them, begin at the left of that. A thread makes one float in each of RUN lines; group.x counts 64 floats of a line,
// group.y runs of lines, group.z images.

struct Params {
  height: u32, lineFloats: u32, channels: u32,
  outHeight: u32, blocks: u32, block: u32, pitch: u32,
  kernelHeight: u32, stride: u32, padding: u32,
}

const RUN: u32 = 8;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> lines: array<f32>;
@group(0) @binding(2) var<storage, read_write> dx: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let float = group.x * 64 + lane;
  if (float >= params.lineFloats) { return; }
  let padded = float + params.padding * params.channels;
  let block = padded / params.block;
  let start = block * params.pitch + padded % params.block;
  let outLine = params.blocks * params.pitch;
  // Floats beyond the last window get nothing.
  let seen = select(0u, params.kernelHeight, block < params.blocks);

  let first = group.y * RUN;
  let end = min(params.height, first + RUN);
  // The last line of outputs that sees line h, and which line of its windows that is; counted on, since a division takes a
  // CPU longer than a sum.
  var oh = (first + params.padding) / params.stride;
  var kh = (first + params.padding) % params.stride;
  for (var h = first; h < end; h++) {
    var at = (group.z * params.outHeight + oh) * outLine + start + kh * params.block; // that of an earlier line of outputs
    var sum = 0f;
    var line = oh;
    for (var k = kh; k < seen; k += params.stride) {
      if (line < params.outHeight) { sum += lines[at]; } // line wraps below 0 to more than that
      line--;
      at += params.block * params.stride - outLine;
    }
    dx[(group.z * params.height + h) * params.lineFloats + float] = sum;
    kh++;
    if (kh == params.stride) { kh = 0; oh++; }
  }
}
