// out = the mean of x. Behind workgroup_reduce.wgsl.
//
//   x: size floats;  out: [1]
// One workgroup makes it, each thread every LANES-th element: meant for the few numbers of a batch.

struct Params { size: u32 }

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(LANES)
fn main(@builtin(local_invocation_index) lane: u32) {
  var sum = 0.0;
  for (var i = lane; i < params.size; i += LANES) { sum += x[i]; }
  let mean = workgroupSum(sum, lane) / f32(params.size);
  if (lane == 0) { out[0] = mean; }
}
