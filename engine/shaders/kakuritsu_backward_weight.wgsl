// dw[i,n] = Σ_b M[b,n,i] · dy[b,n] · x[b,i], with the mask M of the forward pass drawn again.
// Joined with random.wgsl, kakuritsu_mask.wgsl, one of kakuritsu_read_*.wgsl and one of kakuritsu_share*.wgsl.
//
//   x [batch, inputs], dy [batch, cells], dw [inputs, cells]
// Neighbouring threads take neighbouring quads of cells. A thread makes its four cells for QUADS (4 or 8) quads of inputs:
// it draws their masks for a group of 16 samples, and then takes two samples at a time. What it draws and what it writes
// goes through the end and the beginning of an array that moves by one each time, as an index that is no constant would
// keep the array from registers, and code for each quad by itself would not fit a CPU's instruction cache.

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
const QUADS: u32 = 8;

// Place 2q + s: four inputs, the q-th quad of the workgroup's, of sample s of two rows from `row` on.
alias Shared = vec4f;
var<private> first_quad: u32;
fn read_shared(place: u32, row: u32) -> Shared {
  let quad = min(first_quad + place / 2u, (params.inputs - 1u) / 4u);
  return read_quad(&x, min(row + place % 2u, params.batch - 1u), params.inputs, quad);
}

// The masks of a quad's two pairs of inputs.
struct Masks { low: vec4u, high: vec4u }

// Adds a sample, whose bits are `even` for the first input of a pair and `odd` for the second.
fn add_sample(sums: ptr<function, array<vec4f, 4>>, values: vec4f, gradients: vec4f, masks: Masks, even: vec4u, odd: vec4u) {
  (*sums)[0] += select(vec4f(), values.x * gradients, (masks.low & even) != vec4u());
  (*sums)[1] += select(vec4f(), values.y * gradients, (masks.low & odd) != vec4u());
  (*sums)[2] += select(vec4f(), values.z * gradients, (masks.high & even) != vec4u());
  (*sums)[3] += select(vec4f(), values.w * gradients, (masks.high & odd) != vec4u());
}

// Adds two samples, the first of which has its bits from `bit` on, to the sums of the q-th of four quads.
fn add_samples(sums: ptr<function, array<vec4f, 4>>, held: Held, q: u32, gradients: array<vec4f, 2>, masks: Masks, bit: vec4u) {
  add_sample(sums, pass_on(held, 2u * q), gradients[0], masks, bit, bit << vec4u(1u));
  add_sample(sums, pass_on(held, 2u * q + 1u), gradients[1], masks, bit << vec4u(2u), bit << vec4u(3u));
}

fn write_sums(sums: array<vec4f, 4>, inputs_quad: u32, quad: u32) {
  for (var k = 0u; k < 4u; k++) {
    let input = 4u * inputs_quad + k;
    if (input < params.inputs) { write_quad(&dw, input, params.cells, quad, sums[k]); }
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
  first_quad = along * QUADS;
  let draws = all_draws();

  var sums: array<array<vec4f, 4>, QUADS>;
  let last = params.first_sample + params.batch;
  let quads = min(QUADS, last * QUADS); // QUADS, but no constant, so that a loop stays a loop
  for (var group = params.first_sample / 16u; 16u * group < last; group++) {
    let begin = max(16u * group, params.first_sample) - 16u * group;
    let end = min(last - 16u * group, 16u);
    let exist = vec4u(first_samples(end) & ~first_samples(begin));
    var masks: array<Masks, QUADS>;
    // A quad ahead, so that a CPU has other work while it waits for round after round.
    var next = first_state(draws, first_quad, quad, group);
    for (var q = 1u; q <= quads; q++) {
      let low = next;
      next = first_state(draws, first_quad + q, quad, group);
      let high = second_state(low);
      for (var i = 1u; i < QUADS; i++) { masks[i - 1u] = masks[i]; }
      masks[QUADS - 1u] = Masks(synapse_mask(draws, low) & exist, synapse_mask(draws, high) & exist);
    }

    for (var sample = 0u; sample < end; sample += 2u) {
      // Wraps below zero where an earlier part of the step has these samples; their bits are 0.
      let row = 16u * group + sample - params.first_sample;
      let held0 = hold(0u, row, thread);
      let gradients = array(
        read_quad(&dy, min(row, params.batch - 1u), params.cells, column),
        read_quad(&dy, min(row + 1u, params.batch - 1u), params.cells, column),
      );
      let bit = vec4u(1u << (2u * sample));
      add_samples(&sums[0], held0, 0u, gradients, masks[0], bit);
      add_samples(&sums[1], held0, 1u, gradients, masks[1], bit);
      add_samples(&sums[2], held0, 2u, gradients, masks[2], bit);
      add_samples(&sums[3], held0, 3u, gradients, masks[3], bit);
      if (QUADS == 8u) {
        let held1 = hold(8u, row, thread);
        add_samples(&sums[QUADS - 4u], held1, 0u, gradients, masks[QUADS - 4u], bit);
        add_samples(&sums[QUADS - 3u], held1, 1u, gradients, masks[QUADS - 3u], bit);
        add_samples(&sums[QUADS - 2u], held1, 2u, gradients, masks[QUADS - 2u], bit);
        add_samples(&sums[QUADS - 1u], held1, 3u, gradients, masks[QUADS - 1u], bit);
      }
    }
  }

  for (var q = first_quad; q < min(first_quad + QUADS, (params.inputs + 3u) / 4u); q++) {
    write_sums(sums[0], q, quad);
    for (var i = 1u; i < QUADS; i++) { sums[i - 1u] = sums[i]; }
  }
}
