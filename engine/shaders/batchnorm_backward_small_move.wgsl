// The end of batchnorm_backward_small.wgsl that moves weight and bias by their gradients, and stores none. Behind
// sgd_step.wgsl.
//
//   weight, weightVelocity, bias, biasVelocity: [channels], changed in place

alias Floats = Values;

@group(0) @binding(7) var<storage, read_write> weight: array<Values>;
@group(0) @binding(8) var<storage, read_write> weightVelocity: array<Values>;
@group(0) @binding(9) var<storage, read_write> bias: array<Values>;
@group(0) @binding(10) var<storage, read_write> biasVelocity: array<Values>;

fn finish(step: u32, ofWeight: Values, ofBias: Values) {
  let nextWeight = moved(weight[step], ofWeight, weightVelocity[step]);
  weightVelocity[step] = nextWeight.velocity;
  weight[step] = nextWeight.param;
  let nextBias = moved(bias[step], ofBias, biasVelocity[step]);
  biasVelocity[step] = nextBias.velocity;
  bias[step] = nextBias.param;
}
