// The norm of all that partial sums of squares are of, and the factor that brings it to maxNorm at most, as
// torch.nn.utils.clip_grad_norm_ has it: min(1, maxNorm / (norm + 1e-6)). Behind workgroup_reduce.wgsl.
//
//   partials: count sums of squares;  norm: [1];  factor: [1]
// One workgroup makes both: 60 million elements have 15,000 partial sums.

struct Params { count: u32, maxNorm: f32 }

// PyTorch's, against a division by zero.
const EPSILON: f32 = 1e-6;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> partials: array<f32>;
@group(0) @binding(2) var<storage, read_write> norm: array<f32>;
@group(0) @binding(3) var<storage, read_write> factor: array<f32>;

@compute @workgroup_size(LANES)
fn main(@builtin(local_invocation_index) lane: u32) {
  var sum = 0.0;
  for (var i = lane; i < params.count; i += LANES) { sum += partials[i]; }
  let total = sqrt(workgroupSum(sum, lane));
  if (lane == 0) {
    norm[0] = total;
    factor[0] = select(1.0, params.maxNorm / (total + EPSILON), total + EPSILON > params.maxNorm);
  }
}
