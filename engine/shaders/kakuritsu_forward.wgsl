// y[b,n] = Σ_i M[b,n,i] · w[i,n] · x[b,i], with the mask M of kakuritsu_mask.wgsl.
// Joined with random.wgsl, kakuritsu_mask.wgsl, one of kakuritsu_read_*.wgsl and one of kakuritsu_share*.wgsl.
//
//   x [batch, inputs], w [inputs, cells], y [batch, cells]
// Neighbouring threads take neighbouring quads of cells. A thread makes its four cells for SAMPLE_GROUPS (1 or 2) groups
// of 16 samples. The reads of a step come before its arithmetic group by group, which on lavapipe spills the fewest
// registers.

struct Params {
  batch: u32, inputs: u32, cells: u32,
  first_sample: u32, // which sample of the step row 0 is
  p: u32, key0: u32, key1: u32, key2: u32, key3: u32,
  along: u32, // workgroups in a line; lines go across
  firstGroup: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: Pairs;
@group(0) @binding(2) var<storage, read> w: Quads;
@group(0) @binding(3) var<storage, read_write> y: Quads;

const THREADS: u32 = 8;
const SAMPLE_GROUPS: u32 = 2;

// A pair of a row's inputs. Rows beyond the batch read the last one, and are not written.
alias Shared = vec2f;
fn read_shared(row: u32, pair: u32) -> Shared { return read_pair(&x, min(row, params.batch - 1u), params.inputs, pair); }

// Adds a pair of inputs to the sums of sample `s` of the mask's group.
fn add_pair(sums: ptr<function, vec4f>, values: vec2f, weights: array<vec4f, 2>, mask: vec4u, s: u32) {
  for (var k = 0u; k < 2u; k++) {
    let takes_part = (mask & vec4u(1u << (2u * s + k))) != vec4u();
    *sums += select(vec4f(), values[k] * weights[k], takes_part);
  }
}

// The same for eight samples, the first of which is `s`. Written out, because compilers give up on unrolling it.
fn add_pairs(sums: ptr<function, array<vec4f, 8>>, held: Held, weights: array<vec4f, 2>, mask: vec4u, s: u32) {
  add_pair(&(*sums)[0], pass_on(held, 0u), weights, mask, s);
  add_pair(&(*sums)[1], pass_on(held, 1u), weights, mask, s + 1u);
  add_pair(&(*sums)[2], pass_on(held, 2u), weights, mask, s + 2u);
  add_pair(&(*sums)[3], pass_on(held, 3u), weights, mask, s + 3u);
  add_pair(&(*sums)[4], pass_on(held, 4u), weights, mask, s + 4u);
  add_pair(&(*sums)[5], pass_on(held, 5u), weights, mask, s + 5u);
  add_pair(&(*sums)[6], pass_on(held, 6u), weights, mask, s + 6u);
  add_pair(&(*sums)[7], pass_on(held, 7u), weights, mask, s + 7u);
}

fn write_sums(sums: ptr<function, array<vec4f, 8>>, row: u32, quad: u32) {
  for (var i = 0u; i < 8u; i++) {
    if (row + i < params.batch) { write_quad(&y, row + i, params.cells, quad, (*sums)[i]); }
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
  let group = params.first_sample / 16u + along * SAMPLE_GROUPS;
  // Wraps below zero where an earlier part of the step has the group's first samples; such rows are beyond the batch.
  let row = 16u * group - params.first_sample;

  let draws = all_draws();
  let inputs = params.inputs;
  let cells = params.cells;

  var state: Threefry;
  var state_above: Threefry;
  var sums0: array<vec4f, 8>;
  var sums1: array<vec4f, 8>;
  var sums2: array<vec4f, 8>;
  var sums3: array<vec4f, 8>;
  for (var pair = 0u; 2u * pair < inputs; pair++) {
    let held0 = hold(row, pair, thread);
    let held1 = hold(row + 8u, pair, thread);
    let second = 2u * pair + 1u < inputs;
    let weights = array(
      read_quad(&w, 2u * pair, cells, column),
      read_quad(&w, 2u * pair + u32(second), cells, column),
    );
    let exist = vec4u(select(0x55555555u, 0xffffffffu, second));

    if (pair % 2u == 0u) {
      state = first_state(draws, pair / 2u, quad, group);
      if (SAMPLE_GROUPS == 2u) { state_above = first_state(draws, pair / 2u, quad, group + 1u); }
    } else {
      state = second_state(state);
      if (SAMPLE_GROUPS == 2u) { state_above = second_state(state_above); }
    }
    let mask = synapse_mask(draws, state) & exist;
    add_pairs(&sums0, held0, weights, mask, 0u);
    add_pairs(&sums1, held1, weights, mask, 8u);
    if (SAMPLE_GROUPS == 2u) {
      let held2 = hold(row + 16u, pair, thread);
      let held3 = hold(row + 24u, pair, thread);
      let mask_above = synapse_mask(draws, state_above) & exist;
      add_pairs(&sums2, held2, weights, mask_above, 0u);
      add_pairs(&sums3, held3, weights, mask_above, 8u);
    }
  }

  write_sums(&sums0, row, quad);
  write_sums(&sums1, row + 8u, quad);
  if (SAMPLE_GROUPS == 2u) {
    write_sums(&sums2, row + 16u, quad);
    write_sums(&sums3, row + 24u, quad);
  }
}
