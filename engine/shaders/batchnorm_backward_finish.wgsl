// The gradients of weight and bias from the sums of slices. Behind batchnorm_slices.wgsl.
//
//   sums, products: [slices, channels], made by batchnorm_backward_sums.wgsl
//   dBias, dWeight: [channels]  Σ dy and Σ dy·x̂ over all rows
// A workgroup makes LANES steps of channels; each of a step's SPREAD threads takes every SPREAD-th slice.

struct Params { channels: u32, slices: u32 }

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> sums: array<Values>;
@group(0) @binding(2) var<storage, read> products: array<Values>;
@group(0) @binding(3) var<storage, read_write> dBias: array<Values>;
@group(0) @binding(4) var<storage, read_write> dWeight: array<Values>;

@compute @workgroup_size(LANES * SPREAD)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let steps = params.channels / WIDTH;
  let step = group.x * LANES + lane % LANES;
  let slices = select(0u, params.slices, step < steps);
  var sum = Values();
  var product = Values();
  for (var slice = lane / LANES; slice < slices; slice += SPREAD) {
    let at = slice * steps + step;
    sum += sums[at];
    product += products[at];
  }
  sum = sumOfStep(sum, lane);
  product = sumOfStep(product, lane);
  if (lane < LANES && step < steps) {
    dBias[step] = sum;
    dWeight[step] = product;
  }
}
