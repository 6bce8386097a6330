// The gradient of a grouped convolution's input: each element gathers from the outputs that saw it.
//
//   dy:     [images, outHeight, outWidth, outputs]
//   weight: [kernelHeight, kernelWidth, groupChannels, outputs]
//   dx:     [images, height, width, channels], size floats
// A thread makes one element.

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> dy: array<f32>;
@group(0) @binding(2) var<storage, read> weight: array<f32>;
@group(0) @binding(3) var<storage, read_write> dx: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = (params.firstGroup + group.y * groups.x + group.x) * 64 + lane;
  if (i >= params.size) { return; }
  let channel = i % params.channels;
  let pixel = i / params.channels;
  let line = pixel / params.width;
  let image = line / params.height * params.outHeight;
  let h = i32(line % params.height + params.padding);
  let w = i32(pixel % params.width + params.padding);
  let firstOutput = channel / params.groupChannels * params.groupOutputs;

  var sum = 0.0;
  for (var kh = 0u; kh < params.kernelHeight; kh++) {
    // The output row whose tap kh lies on h, if the stride has one there.
    let fromH = h - i32(kh * params.dilation);
    if (fromH < 0 || fromH % i32(params.stride) != 0) { continue; }
    let oh = u32(fromH) / params.stride;
    if (oh >= params.outHeight) { continue; }
    for (var kw = 0u; kw < params.kernelWidth; kw++) {
      let fromW = w - i32(kw * params.dilation);
      if (fromW < 0 || fromW % i32(params.stride) != 0) { continue; }
      let ow = u32(fromW) / params.stride;
      if (ow >= params.outWidth) { continue; }
      let first = ((image + oh) * params.outWidth + ow) * params.outputs + firstOutput;
      let tap = (kh * params.kernelWidth + kw) * params.groupChannels + channel % params.groupChannels;
      let weights = tap * params.outputs + firstOutput;
      for (var o = 0u; o < params.groupOutputs; o++) { sum += dy[first + o] * weight[weights + o]; }
    }
  }
  dx[i] = sum;
}
