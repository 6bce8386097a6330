// dw[i,n] = Σ_b M[b,n,i] · dy[b,n] · x[b,i], with the mask M of the forward pass drawn again.
// Joined with random.wgsl, kakuritsu_mask.wgsl, one of kakuritsu_read_*.wgsl and one of kakuritsu_share*.wgsl.
//
//   x [batch, inputs], dy [batch, cells], dw [inputs, cells]
// Neighbouring threads take neighbouring quads of cells. A thread makes its four cells for 16 inputs: it draws their
// masks for a group of 16 samples, and then takes four samples at a time.

struct Params {
  batch: u32, inputs: u32, cells: u32,
  first_sample: u32, // which sample of the step row 0 is
  p: u32, key0: u32, key1: u32, key2: u32, key3: u32,
  along: u32, // workgroups in a line; lines go across
  firstGroup: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: Quads;
@group(0) @binding(2) var<storage, read> dy: Quads;
@group(0) @binding(3) var<storage, read_write> dw: Quads;

const THREADS: u32 = 8;

// Place 4q + s: four inputs, the q-th quad of the workgroup's 16, of sample s of four rows from `row` on.
alias Shared = vec4f;
var<private> first_quad: u32;
fn read_shared(place: u32, row: u32) -> Shared {
  let quad = min(first_quad + place / 4u, (params.inputs - 1u) / 4u);
  return read_quad(&x, min(row + place % 4u, params.batch - 1u), params.inputs, quad);
}

// Adds four samples to the sums of four inputs, the pairs of which have their masks in `low` and `high`.
fn add_samples(sums: ptr<function, array<vec4f, 4>>, held: Held, q: u32, gradients: array<vec4f, 4>, low: vec4u, high: vec4u) {
  for (var s = 0u; s < 4u; s++) {
    let values = pass_on(held, 4u * q + s);
    for (var k = 0u; k < 4u; k++) {
      let sum = (*sums)[k];
      let mask = select(low, high, k >= 2u);
      let takes_part = (mask & vec4u(1u << (2u * s + k % 2u))) != vec4u();
      (*sums)[k] = select(sum, sum + values[k] * gradients[s], takes_part);
    }
  }
}

fn write_sums(sums: ptr<function, array<vec4f, 4>>, inputs_quad: u32, quad: u32) {
  for (var k = 0u; k < 4u; k++) {
    let input = 4u * inputs_quad + k;
    if (input < params.inputs) { write_quad(&dw, input, params.cells, quad, (*sums)[k]); }
  }
}

@compute @workgroup_size(THREADS)
fn main(
  @builtin(workgroup_id) wg: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let index = params.firstGroup + wg.y * groups.x + wg.x;
  let along = index % params.along;
  let quad = index / params.along * THREADS + thread;
  let column = min(quad, (params.cells - 1u) / 4u);
  first_quad = along * 4u;
  let draws = all_draws();

  var sums0: array<vec4f, 4>;
  var sums1: array<vec4f, 4>;
  var sums2: array<vec4f, 4>;
  var sums3: array<vec4f, 4>;
  let last = params.first_sample + params.batch;
  for (var group = params.first_sample / 16u; 16u * group < last; group++) {
    let begin = max(16u * group, params.first_sample) - 16u * group;
    let end = min(last - 16u * group, 16u);
    let exist = vec4u(first_samples(end) & ~first_samples(begin));
    var masks: array<vec4u, 8>;
    for (var q = 0u; q < 4u; q++) {
      let state = first_state(draws, first_quad + q, quad, group);
      masks[2u * q] = synapse_mask(draws, state) & exist;
      masks[2u * q + 1u] = synapse_mask(draws, second_state(state)) & exist;
    }

    for (var sample = 0u; sample < end; sample += 4u) {
      // Wraps below zero where an earlier part of the step has these samples; their bits are 0.
      let row = 16u * group + sample - params.first_sample;
      let held0 = hold(0u, row, thread);
      let held1 = hold(8u, row, thread);
      var gradients: array<vec4f, 4>;
      for (var s = 0u; s < 4u; s++) { gradients[s] = read_quad(&dy, min(row + s, params.batch - 1u), params.cells, column); }
      let shift = vec4u(2u * sample);
      add_samples(&sums0, held0, 0u, gradients, masks[0] >> shift, masks[1] >> shift);
      add_samples(&sums1, held0, 1u, gradients, masks[2] >> shift, masks[3] >> shift);
      add_samples(&sums2, held1, 0u, gradients, masks[4] >> shift, masks[5] >> shift);
      add_samples(&sums3, held1, 1u, gradients, masks[6] >> shift, masks[7] >> shift);
    }
  }

  write_sums(&sums0, first_quad, quad);
  write_sums(&sums1, first_quad + 1u, quad);
  write_sums(&sums2, first_quad + 2u, quad);
  write_sums(&sums3, first_quad + 3u, quad);
}
