// A convolution's weight as what one output pixel gives to blocks of its window's lines; see conv2d_lines_to_image.wgsl.
//
//   weight: [kernelHeight, kernelWidth, channels, outputs]
//   out:    [taps, outputs, pitch], of which the first are [kernelHeight, block]; taps · block ≥ kernelWidth · channels
// Tap t has floats [taps − 1 − t, taps − t) · block of each line of the window, zero beyond the line and in what fills up
// the pitch. A thread makes one float; `size` is how many there are.

struct Params { size: u32, kernelHeight: u32, lineFloats: u32, outputs: u32, taps: u32, block: u32, pitch: u32 }

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> weight: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = (group.y * groups.x + group.x) * 64 + lane;
  if (i >= params.size) { return; }
  let kernelLine = i % params.pitch / params.block;
  let output = i / params.pitch % params.outputs;
  let tap = i / params.pitch / params.outputs;
  let float = (params.taps - 1 - tap) * params.block + i % params.pitch % params.block;
  let inside = kernelLine < params.kernelHeight && float < params.lineFloats;
  let at = (kernelLine * params.lineFloats + float) * params.outputs + output;
  out[i] = select(0f, weight[select(0, at, inside)], inside);
}
