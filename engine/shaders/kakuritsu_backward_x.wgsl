// dx[b,i] = Σ_n M[b,n,i] · w[i,n] · dy[b,n], with the mask M of the forward pass drawn again.
//
//   w [inputs, cells], dy [batch, cells], dx [batch, inputs]
// Neighbouring threads take neighbouring inputs. A thread makes the 8 inputs of its group for GROUPS groups of 4 samples.

struct Params {
  batch: u32, inputs: u32, cells: u32,
  first_sample: u32, // which sample of the step row 0 is
  p: u32, key0: u32, key1: u32, key2: u32, key3: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> w: array<f32>;
@group(0) @binding(2) var<storage, read> dy: array<f32>;
@group(0) @binding(3) var<storage, read_write> dx: array<f32>;

const THREADS: u32 = 8;
const GROUPS: u32 = 4;

// Two rows' gradients at the 4 places of the group that begins with `first`; any number where there is none.
fn shared_value(row: u32, first: u32, k: u32) -> f32 {
  return dy[min(row + k / 4u, params.batch - 1u) * params.cells + min(first + 8u * (k % 4u), params.cells - 1u)];
}

// One sample's gradient through one cell, added to the sums of 8 inputs. Bit k of the mask is the k-th input's.
fn add_cell(sums: array<vec4f, 2>, mask: u32, gradient: f32, weights: array<vec4f, 2>) -> array<vec4f, 2> {
  let low = vec4u(mask) & vec4u(1u, 2u, 4u, 8u);
  let high = vec4u(mask) & vec4u(16u, 32u, 64u, 128u);
  return array(
    select(sums[0], fma(vec4f(gradient), weights[0], sums[0]), low != vec4u(0u)),
    select(sums[1], fma(vec4f(gradient), weights[1], sums[1]), high != vec4u(0u)),
  );
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) wg: vec3u, @builtin(local_invocation_index) thread: u32) {
  let inputs = params.inputs;
  let cells = params.cells;
  let input_group = wg.x * THREADS + thread;
  let input = first_input(input_group);
  let sample_group = params.first_sample / 4u + wg.y * GROUPS;
  // Wraps below zero where a part of the step starts inside a group of 4; such rows are not written.
  let row = sample_group * 4u - params.first_sample;
  let line_low = min(vec4u(input) + vec4u(0u, 8u, 16u, 24u), vec4u(inputs - 1u)) * cells;
  let line_high = min(vec4u(input) + vec4u(32u, 40u, 48u, 56u), vec4u(inputs - 1u)) * cells;

  var sums: array<array<vec4f, 2>, GROUPS * 4u>;
  for (var group = 0u; group < cell_groups(cells); group++) {
    let cell = first_cell(group);
    let exist = vec4u(existing_cells(places(cell, cells)));
    var weights: array<array<vec4f, 2>, 4>;
    for (var j = 0u; j < 4u; j++) {
      let column = min(cell + 8u * j, cells - 1u);
      let low = line_low + column;
      let high = line_high + column;
      weights[j] = array(vec4f(w[low.x], w[low.y], w[low.z], w[low.w]), vec4f(w[high.x], w[high.y], w[high.z], w[high.w]));
    }
    for (var g = 0u; g < GROUPS; g++) {
      let mask = synapse_mask(input_group, group, sample_group + g) & exist;
      for (var s = 0u; s < 4u; s += 2u) {
        let at = g * 4u + s;
        let gradients = shared_values(row + at, cell, thread);
        for (var j = 0u; j < 4u; j++) {
          sums[at] = add_cell(sums[at], mask[s] >> (8u * j), gradients[j], weights[j]);
          sums[at + 1u] = add_cell(sums[at + 1u], mask[s + 1u] >> (8u * j), gradients[4u + j], weights[j]);
        }
      }
    }
  }

  for (var s = 0u; s < GROUPS * 4u; s++) {
    if (row + s >= params.batch) { continue; }
    for (var k = 0u; k < 8u; k++) {
      if (input + 8u * k < inputs) { dx[(row + s) * inputs + input + 8u * k] = sums[s][k / 4u][k % 4u]; }
    }
  }
}
