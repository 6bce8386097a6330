// dw[i,n] = Σ_b M[b,n,i] · dy[b,n] · x[b,i], with the mask M of the forward pass drawn again.
// Joined with random.wgsl, kakuritsu_mask.wgsl, one of kakuritsu_read_*.wgsl and one of kakuritsu_share*.wgsl.
//
//   a = x [batch, inputs], b = dy [batch, cells], out = dw [inputs, cells]
// Neighbouring threads take neighbouring quads of cells. A thread makes its four cells for QUADS quads of inputs: it takes
// the gradients of a group of 16 samples, and then a quad at a time, of which it draws the masks and sums over the group.
// Code for each quad by itself would not fit a CPU's instruction cache.

struct Params {
  batch: u32, inputs: u32, cells: u32,
  first_sample: u32, // which sample of the step row 0 is
  p: u32, key0: u32, key1: u32, key2: u32, key3: u32,
  along: u32, // workgroups in a line; lines go across
  firstGroup: u32,
}

@group(0) @binding(0) var<uniform> params: Params;

const THREADS: u32 = 8;
const QUADS: u32 = 12;

// Four inputs' sums, each of four cells.
alias Sums = array<vec4f, 4>;

// Adds sample `s` of the masks' group.
fn add_sample(sums: ptr<function, Sums>, values: vec4f, gradients: vec4f, masks: Masks, s: u32) {
  let even = vec4u(1u << (2u * s));
  let odd = vec4u(2u << (2u * s));
  (*sums)[0] += select(vec4f(), values.x * gradients, (masks.low & even) != vec4u());
  (*sums)[1] += select(vec4f(), values.y * gradients, (masks.low & odd) != vec4u());
  (*sums)[2] += select(vec4f(), values.z * gradients, (masks.high & even) != vec4u());
  (*sums)[3] += select(vec4f(), values.w * gradients, (masks.high & odd) != vec4u());
}

// The same for eight samples, the first of which is `s`. Written out, because compilers give up on unrolling it.
fn add_samples(sums: ptr<function, Sums>, held: Held, gradients: ptr<function, array<vec4f, 16>>, masks: Masks, s: u32) {
  add_sample(sums, pass_on(held, 0u), (*gradients)[s], masks, s);
  add_sample(sums, pass_on(held, 1u), (*gradients)[s + 1u], masks, s + 1u);
  add_sample(sums, pass_on(held, 2u), (*gradients)[s + 2u], masks, s + 2u);
  add_sample(sums, pass_on(held, 3u), (*gradients)[s + 3u], masks, s + 3u);
  add_sample(sums, pass_on(held, 4u), (*gradients)[s + 4u], masks, s + 4u);
  add_sample(sums, pass_on(held, 5u), (*gradients)[s + 5u], masks, s + 5u);
  add_sample(sums, pass_on(held, 6u), (*gradients)[s + 6u], masks, s + 6u);
  add_sample(sums, pass_on(held, 7u), (*gradients)[s + 7u], masks, s + 7u);
}

fn write_sums(sums: Sums, inputs_quad: u32, quad: u32) {
  for (var k = 0u; k < 4u; k++) {
    let input = 4u * inputs_quad + k;
    if (input < params.inputs) { write_out(rows_of(params.cells), input, quad, sums[k]); }
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
  let first_quad = along * QUADS;
  let draws = all_draws();
  let x_rows = rows_of(params.inputs);
  let dy_rows = rows_of(params.cells);

  var sums: array<Sums, QUADS>;
  let last = params.first_sample + params.batch;
  let quads = min(QUADS, (params.inputs + 3u) / 4u - first_quad);
  for (var group = params.first_sample / 16u; 16u * group < last; group++) {
    let begin = max(16u * group, params.first_sample) - 16u * group;
    let end = min(last - 16u * group, 16u);
    let exist = vec4u(first_samples(end) & ~first_samples(begin));
    // Wraps below zero where an earlier part of the step has these samples.
    let row = 16u * group - params.first_sample;
    var gradients: array<vec4f, 16>;
    for (var i = 0u; i < 16u; i++) { gradients[i] = read_b(dy_rows, min(row + i, params.batch - 1u), column); }

    // A quad ahead, so that a CPU has other work while it waits for round after round.
    var next = first_state(draws, first_quad, quad, group);
    for (var q = 0u; q < quads; q++) {
      let low = next;
      next = first_state(draws, first_quad + q + 1u, quad, group);
      let high = second_state(low);
      let held0 = hold(x_rows, row, first_quad + q, thread);
      let held1 = hold(x_rows, row + 8u, first_quad + q, thread);
      let masks = Masks(synapse_mask(draws, low) & exist, synapse_mask(draws, high) & exist);
      var group_sums = Sums();
      add_samples(&group_sums, held0, &gradients, masks, 0u);
      add_samples(&group_sums, held1, &gradients, masks, 8u);
      // Not sums[q], since an index that is no constant would keep the array from registers.
      for (var i = 0u; i < QUADS; i++) {
        if (i == q) { for (var k = 0u; k < 4u; k++) { sums[i][k] += group_sums[k]; } }
      }
    }
  }

  for (var q = 0u; q < quads; q++) {
    write_sums(sums[0], first_quad + q, quad);
    for (var i = 1u; i < QUADS; i++) { sums[i - 1u] = sums[i]; }
  }
}
