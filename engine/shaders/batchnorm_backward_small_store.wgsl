// The end of batchnorm_backward_small.wgsl that stores the gradients of weight and bias: dWeight, dBias, [channels].

@group(0) @binding(7) var<storage, read_write> dWeight: array<Values>;
@group(0) @binding(8) var<storage, read_write> dBias: array<Values>;

fn finish(step: u32, ofWeight: Values, ofBias: Values) {
  dWeight[step] = ofWeight;
  dBias[step] = ofBias;
}
