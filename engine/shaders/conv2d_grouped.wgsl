// Convolution in groups: each group of output channels sees its own group of input channels. Direct, one output a
// thread: with few channels a group there is no matrix product worth tiling. gemm_epilogue.wgsl follows.
//
//   x:      [images, height, width, channels]
//   weight: [kernelHeight, kernelWidth, groupChannels, outputs]
//   out:    [images, outHeight, outWidth, outputs], size numbers

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Element>;
@group(0) @binding(2) var<storage, read> weight: array<Element>;

alias Outputs = f32;
alias Stored = Element;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = (params.firstGroup + group.y * groups.x + group.x) * 64 + lane;
  if (i >= params.size) { return; }
  let output = i % params.outputs;
  let pixel = i / params.outputs;
  let line = pixel / params.outWidth;
  let image = line / params.outHeight * params.height;
  let h = i32(line % params.outHeight * params.stride) - i32(params.padding);
  let w = i32(pixel % params.outWidth * params.stride) - i32(params.padding);
  let firstChannel = output / params.groupOutputs * params.groupChannels;

  var sum = 0.0;
  for (var kh = 0u; kh < params.kernelHeight; kh++) {
    let ih = u32(h + i32(kh * params.dilation));
    if (ih >= params.height) { continue; }
    for (var kw = 0u; kw < params.kernelWidth; kw++) {
      let iw = u32(w + i32(kw * params.dilation));
      if (iw >= params.width) { continue; }
      let first = ((image + ih) * params.width + iw) * params.channels + firstChannel;
      let tap = (kh * params.kernelWidth + kw) * params.groupChannels * params.outputs + output;
      for (var c = 0u; c < params.groupChannels; c++) { sum += f32(x[first + c]) * f32(weight[tap + c * params.outputs]); }
    }
  }
  finish(sum, affineOf(output), i);
}
