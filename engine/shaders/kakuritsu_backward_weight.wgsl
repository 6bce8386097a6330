// dw[i,n] = Σ_b M[b,n,i] · dy[b,n] · x[b,i], with the mask M of the forward pass drawn again.
//
//   x [batch, inputs], dy [batch, cells], dw [inputs, cells]
// Neighbouring threads take neighbouring cells. A thread makes the 4 cells of its group for GROUPS groups of 8 inputs.

struct Params {
  batch: u32, inputs: u32, cells: u32,
  first_sample: u32, // which sample of the step row 0 is
  p: u32, key0: u32, key1: u32, key2: u32, key3: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> dy: array<f32>;
@group(0) @binding(3) var<storage, read_write> dw: array<f32>;

const THREADS: u32 = 8;
const GROUPS: u32 = 4;

// The row's input at the k-th place of the group that begins with `first`; any number where there is none.
fn shared_value(row: u32, first: u32, k: u32) -> f32 {
  return x[min(row, params.batch - 1u) * params.inputs + min(first + 8u * k, params.inputs - 1u)];
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) wg: vec3u, @builtin(local_invocation_index) thread: u32) {
  let cells = params.cells;
  let cell_group = wg.x * THREADS + thread;
  let cell = first_cell(cell_group) + vec4u(0u, 8u, 16u, 24u);
  let column = min(cell, vec4u(cells - 1u));
  let input_group = wg.y * GROUPS;

  var sums: array<array<vec4f, 8>, GROUPS>;
  let first_group = params.first_sample / 4u;
  let last_group = (params.first_sample + params.batch - 1u) / 4u;
  for (var group = first_group; group <= last_group; group++) {
    // Wraps below zero where a part of the step starts inside a group of 4; such rows take no part.
    let row = group * 4u - params.first_sample;
    let rows = vec4u(row) + vec4u(0u, 1u, 2u, 3u);
    let exist = select(vec4u(0u), vec4u(0xffffffffu), rows < vec4u(params.batch));
    var gradients: array<vec4f, 4>;
    for (var s = 0u; s < 4u; s++) {
      let at = min(rows[s], params.batch - 1u) * cells + column;
      gradients[s] = vec4f(dy[at.x], dy[at.y], dy[at.z], dy[at.w]);
    }
    for (var g = 0u; g < GROUPS; g++) {
      let mask = synapse_mask(input_group + g, cell_group, group) & exist;
      for (var s = 0u; s < 4u; s++) {
        let values = shared_values(rows[s], first_input(input_group + g), thread);
        for (var k = 0u; k < 8u; k++) {
          let bits = vec4u(mask[s] >> k) & vec4u(1u, 1u << 8u, 1u << 16u, 1u << 24u);
          let sum = sums[g][k];
          sums[g][k] = select(sum, fma(vec4f(values[k]), gradients[s], sum), bits != vec4u(0u));
        }
      }
    }
  }

  for (var g = 0u; g < GROUPS; g++) {
    for (var k = 0u; k < 8u; k++) {
      let input = first_input(input_group + g) + 8u * k;
      if (input >= params.inputs) { continue; }
      for (var j = 0u; j < 4u; j++) {
        if (cell[j] < cells) { dw[input * cells + cell[j]] = sums[g][k][j]; }
      }
    }
  }
}
