// The gradient of a grouped convolution's weight, a sum over all output pixels, cut into slices of them.
//
//   x:   [images, height, width, channels]
//   dy:  [images, outHeight, outWidth, outputs]
//   out: [slices, kernelHeight, kernelWidth, groupChannels, outputs], size floats to a slice; slice s sums rows
//        [s, s + 1) · sliceRows of dy
// A thread makes one element of one slice; slices follow each other.

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> dy: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let index = (params.firstGroup + group.y * groups.x + group.x) * 64 + lane;
  let slice = index / params.size;
  let i = index % params.size;
  if (slice >= params.slices) { return; }
  let output = i % params.outputs;
  let channel = output / params.groupOutputs * params.groupChannels + i / params.outputs % params.groupChannels;
  let tap = i / (params.outputs * params.groupChannels);
  let tapH = i32(tap / params.kernelWidth * params.dilation) - i32(params.padding);
  let tapW = i32(tap % params.kernelWidth * params.dilation) - i32(params.padding);

  let first = slice * params.sliceRows;
  let last = min(params.rows, first + params.sliceRows);
  var oh = first / params.outWidth % params.outHeight;
  var ow = first % params.outWidth;
  var image = first / (params.outWidth * params.outHeight);
  var sum = 0.0;
  for (var row = first; row < last; row++) {
    let h = u32(i32(oh * params.stride) + tapH);
    let w = u32(i32(ow * params.stride) + tapW);
    if (h < params.height && w < params.width) {
      let at = ((image * params.height + h) * params.width + w) * params.channels + channel;
      sum += x[at] * dy[row * params.outputs + output];
    }
    ow++;
    if (ow == params.outWidth) { ow = 0; oh++; }
    if (oh == params.outHeight) { oh = 0; image++; }
  }
  out[slice * params.size + i] = sum;
}
