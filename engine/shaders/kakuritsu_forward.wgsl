// y[b,n] = Σ_i M[b,n,i] · w[i,n] · x[b,i], with the mask M of kakuritsu_mask.wgsl.
// Joined with random.wgsl, kakuritsu_mask.wgsl, one of kakuritsu_read_*.wgsl and one of kakuritsu_share*.wgsl.
//
//   a = x [batch, inputs], b = w [inputs, cells], out = y [batch, cells]
// Neighbouring threads take neighbouring quads of cells. A thread makes its four cells for SAMPLE_GROUPS (1 or 2) groups
// of 16 samples, four inputs at a step.

struct Params {
  batch: u32, inputs: u32, cells: u32,
  first_sample: u32, // which sample of the step row 0 is
  p: u32, key0: u32, key1: u32, key2: u32, key3: u32,
  along: u32, // workgroups in a line; lines go across
  firstGroup: u32,
}

@group(0) @binding(0) var<uniform> params: Params;

const THREADS: u32 = 8;
const SAMPLE_GROUPS: u32 = 2;

// The weights of four inputs from `input` on. Inputs beyond `last`, whose masks are 0, read that one.
fn read_weights(rows: Rows, input: u32, last: u32, column: u32) -> array<vec4f, 4> {
  return array(
    read_b(rows, min(input, last), column),
    read_b(rows, min(input + 1u, last), column),
    read_b(rows, min(input + 2u, last), column),
    read_b(rows, min(input + 3u, last), column),
  );
}

fn draw(draws: Draws, input_quad: u32, cell_quad: u32, sample_group: u32, exist: Masks) -> Masks {
  let state = first_state(draws, input_quad, cell_quad, sample_group);
  let low = synapse_mask(draws, state) & exist.low;
  return Masks(low, synapse_mask(draws, second_state(state)) & exist.high);
}

// Adds four inputs to the sums of sample `s` of the masks' group.
fn add_inputs(sums: ptr<function, vec4f>, values: vec4f, weights: array<vec4f, 4>, masks: Masks, s: u32) {
  let even = vec4u(1u << (2u * s));
  let odd = vec4u(2u << (2u * s));
  *sums += select(vec4f(), values.x * weights[0], (masks.low & even) != vec4u());
  *sums += select(vec4f(), values.y * weights[1], (masks.low & odd) != vec4u());
  *sums += select(vec4f(), values.z * weights[2], (masks.high & even) != vec4u());
  *sums += select(vec4f(), values.w * weights[3], (masks.high & odd) != vec4u());
}

// The same for eight samples, the first of which is `s`. Written out, because compilers give up on unrolling it.
fn add_all_inputs(sums: ptr<function, array<vec4f, 8>>, held: Held, weights: array<vec4f, 4>, masks: Masks, s: u32) {
  add_inputs(&(*sums)[0], pass_on(held, 0u), weights, masks, s);
  add_inputs(&(*sums)[1], pass_on(held, 1u), weights, masks, s + 1u);
  add_inputs(&(*sums)[2], pass_on(held, 2u), weights, masks, s + 2u);
  add_inputs(&(*sums)[3], pass_on(held, 3u), weights, masks, s + 3u);
  add_inputs(&(*sums)[4], pass_on(held, 4u), weights, masks, s + 4u);
  add_inputs(&(*sums)[5], pass_on(held, 5u), weights, masks, s + 5u);
  add_inputs(&(*sums)[6], pass_on(held, 6u), weights, masks, s + 6u);
  add_inputs(&(*sums)[7], pass_on(held, 7u), weights, masks, s + 7u);
}

fn write_sums(sums: ptr<function, array<vec4f, 8>>, row: u32, quad: u32) {
  for (var i = 0u; i < 8u; i++) {
    if (row + i < params.batch) { write_out(rows_of(params.cells), row + i, quad, (*sums)[i]); }
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
  let last = params.inputs - 1u;
  let x_rows = rows_of(params.inputs);
  let w_rows = rows_of(params.cells);

  var sums0: array<vec4f, 8>;
  var sums1: array<vec4f, 8>;
  var sums2: array<vec4f, 8>;
  var sums3: array<vec4f, 8>;
  var next = read_weights(w_rows, 0u, last, column); // a step ahead, so that a CPU has other work while it waits for them
  for (var inputs_quad = 0u; 4u * inputs_quad <= last; inputs_quad++) {
    let held0 = hold(x_rows, row, inputs_quad, thread);
    let held1 = hold(x_rows, row + 8u, inputs_quad, thread);
    let inputs = 4u * inputs_quad + vec4u(0u, 1u, 2u, 3u);
    let weights = next;
    next = read_weights(w_rows, 4u * inputs_quad + 4u, last, column);
    let bits = select(vec4u(), vec4u(0x55555555u, 0xaaaaaaaau, 0x55555555u, 0xaaaaaaaau), inputs <= vec4u(last));
    let exist = Masks(vec4u(bits.x | bits.y), vec4u(bits.z | bits.w));

    let masks = draw(draws, inputs_quad, quad, group, exist);
    add_all_inputs(&sums0, held0, weights, masks, 0u);
    add_all_inputs(&sums1, held1, weights, masks, 8u);
    if (SAMPLE_GROUPS == 2u) {
      let held2 = hold(x_rows, row + 16u, inputs_quad, thread);
      let held3 = hold(x_rows, row + 24u, inputs_quad, thread);
      let masks_above = draw(draws, inputs_quad, quad, group + 1u, exist);
      add_all_inputs(&sums2, held2, weights, masks_above, 0u);
      add_all_inputs(&sums3, held3, weights, masks_above, 8u);
    }
  }

  write_sums(&sums0, row, quad);
  write_sums(&sums1, row + 8u, quad);
  if (SAMPLE_GROUPS == 2u) {
    write_sums(&sums2, row + 16u, quad);
    write_sums(&sums3, row + 24u, quad);
  }
}
