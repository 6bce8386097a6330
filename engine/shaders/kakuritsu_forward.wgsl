// y[b,n] = Σ_i M[b,n,i] · w[i,n] · x[b,i], with the mask M of kakuritsu_mask.wgsl.
//
//   x [batch, inputs], w [inputs, cells], y [batch, cells]
// Neighbouring threads take neighbouring cells. A thread makes the 4 cells of its group for GROUPS groups of 4 samples.

struct Params {
  batch: u32, inputs: u32, cells: u32,
  first_sample: u32, // which sample of the step row 0 is
  p: u32, key0: u32, key1: u32, key2: u32, key3: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> w: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

const THREADS: u32 = 8;
const GROUPS: u32 = 4;

// The row's input at the k-th place of the group that begins with `first`; any number where there is none.
fn shared_value(row: u32, first: u32, k: u32) -> f32 {
  return x[min(row, params.batch - 1u) * params.inputs + min(first + 8u * k, params.inputs - 1u)];
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) wg: vec3u, @builtin(local_invocation_index) thread: u32) {
  let inputs = params.inputs;
  let cells = params.cells;
  let cell_group = wg.x * THREADS + thread;
  let cell = first_cell(cell_group) + vec4u(0u, 8u, 16u, 24u);
  let column = min(cell, vec4u(cells - 1u));
  let sample_group = params.first_sample / 4u + wg.y * GROUPS;
  // Wraps below zero where a part of the step starts inside a group of 4; such rows are not written.
  let row = sample_group * 4u - params.first_sample;

  var sums: array<vec4f, GROUPS * 4u>;
  for (var group = 0u; group < input_groups(inputs); group++) {
    let input = first_input(group);
    let exist = vec4u(existing_inputs(places(input, inputs)));
    var weights: array<vec4f, 8>;
    for (var k = 0u; k < 8u; k++) {
      let at = min(input + 8u * k, inputs - 1u) * cells + column;
      weights[k] = vec4f(w[at.x], w[at.y], w[at.z], w[at.w]);
    }
    for (var g = 0u; g < GROUPS; g++) {
      let mask = synapse_mask(group, cell_group, sample_group + g) & exist;
      for (var s = 0u; s < 4u; s++) {
        let values = shared_values(row + g * 4u + s, input, thread);
        var sum = sums[g * 4u + s];
        for (var k = 0u; k < 8u; k++) {
          let bits = vec4u(mask[s] >> k) & vec4u(1u, 1u << 8u, 1u << 16u, 1u << 24u);
          sum = select(sum, fma(vec4f(values[k]), weights[k], sum), bits != vec4u(0u));
        }
        sums[g * 4u + s] = sum;
      }
    }
  }

  for (var s = 0u; s < GROUPS * 4u; s++) {
    if (row + s >= params.batch) { continue; }
    for (var j = 0u; j < 4u; j++) {
      if (cell[j] < cells) { y[(row + s) * cells + cell[j]] = sums[s][j]; }
    }
  }
}
