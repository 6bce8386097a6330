// The gradients of weight and bias from the sums of slices. Behind batchnorm_slices.wgsl.
//
//   sums, products: [slices, channels], made by batchnorm_backward_sums.wgsl
//   dBias, dWeight: [channels]  Σ dy and Σ dy·x̂ over all rows
// A workgroup makes CHANNELS channels; each of a channel's SPREAD threads takes every SPREAD-th slice.

struct Params { channels: u32, slices: u32 }

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> sums: array<f32>;
@group(0) @binding(2) var<storage, read> products: array<f32>;
@group(0) @binding(3) var<storage, read_write> dBias: array<f32>;
@group(0) @binding(4) var<storage, read_write> dWeight: array<f32>;

@compute @workgroup_size(CHANNELS * SPREAD)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let channel = group.x * CHANNELS + lane % CHANNELS;
  let slices = select(0u, params.slices, channel < params.channels);
  var sum = 0.0;
  var product = 0.0;
  for (var slice = lane / CHANNELS; slice < slices; slice += SPREAD) {
    let at = slice * params.channels + channel;
    sum += sums[at];
    product += products[at];
  }
  sum = sumOfChannel(sum, lane);
  product = sumOfChannel(product, lane);
  if (lane < CHANNELS && channel < params.channels) {
    dBias[channel] = sum;
    dWeight[channel] = product;
  }
}
