// The second half of a product whose depth was cut into slices: adds them, in order, and does what follows the product
// (gemm_epilogue.wgsl); see gemm_patches.wgsl for where a row goes. A thread makes one element.
//
//   parts: [slices, rows, columns]
//   weight is not read: it stands where the kernels of products bind theirs

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> parts: array<f32>;
@group(0) @binding(2) var<storage, read> weight: array<Element>;

alias Outputs = f32;
alias Stored = Element;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let size = params.rows * params.columns;
  let i = (params.firstGroup + group.y * groups.x + group.x) * 64 + lane;
  if (i >= size) { return; }
  var sum = 0.0;
  for (var slice = 0u; slice < params.slices; slice++) { sum += parts[slice * size + i]; }
  let column = i % params.columns;
  finish(sum, affineOf(column), outPixel(i / params.columns) * params.columns + column);
}
