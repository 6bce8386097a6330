// The end of a gemm_over_rows kernel whose sums are a parameter's gradient: it moves the parameter by them, and stores
// no gradient. Behind sgd_step.wgsl. For one slice.
//
//   param, velocity: [taps × channels, columns], changed in place

// What a thread finishes at once; some variants have it otherwise.
alias Floats = vec4f;

@group(0) @binding(3) var<storage, read_write> param: array<Floats>;
@group(0) @binding(4) var<storage, read_write> velocity: array<Floats>;

fn finish(at: u32, sum: Floats) {
  let next = moved(param[at], sum, velocity[at]);
  velocity[at] = next.velocity;
  param[at] = next.param;
}
