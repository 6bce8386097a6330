// dx[b,i] = Σ_n M[b,n,i] · w[i,n] · dy[b,n], with the mask M of the forward pass drawn again.
// Joined with random.wgsl, kakuritsu_mask.wgsl, one of kakuritsu_read_*.wgsl and one of kakuritsu_share*.wgsl.
//
//   a = dy [batch, cells], b = w [inputs, cells], out = dx [batch, inputs]
// Neighbouring threads take neighbouring quads of inputs. A thread makes its four inputs for a group of 16 samples.

struct Params {
  batch: u32, inputs: u32, cells: u32,
  first_sample: u32, // which sample of the step row 0 is
  p: u32, key0: u32, key1: u32, key2: u32, key3: u32,
  along: u32, // workgroups in a line; lines go across
  firstGroup: u32,
}

@group(0) @binding(0) var<uniform> params: Params;

const THREADS: u32 = 8;

// Four inputs' weights of one cell, and the mask's words that have their bits of that cell.
struct Column { weights: vec4f, mask: vec4u }

// Adds four cells to the sums of sample `s` of the masks' group.
fn add_cells(sums: ptr<function, vec4f>, gradients: vec4f, columns: array<Column, 4>, s: u32) {
  for (var j = 0u; j < 4u; j++) {
    let takes_part = (columns[j].mask & (vec4u(1u, 2u, 1u, 2u) << vec4u(2u * s))) != vec4u();
    *sums += select(vec4f(), gradients[j] * columns[j].weights, takes_part);
  }
}

// The same for eight samples, the first of which is `s`. Written out, because compilers give up on unrolling it.
fn add_all_cells(sums: ptr<function, array<vec4f, 8>>, held: Held, columns: array<Column, 4>, s: u32) {
  add_cells(&(*sums)[0], pass_on(held, 0u), columns, s);
  add_cells(&(*sums)[1], pass_on(held, 1u), columns, s + 1u);
  add_cells(&(*sums)[2], pass_on(held, 2u), columns, s + 2u);
  add_cells(&(*sums)[3], pass_on(held, 3u), columns, s + 3u);
  add_cells(&(*sums)[4], pass_on(held, 4u), columns, s + 4u);
  add_cells(&(*sums)[5], pass_on(held, 5u), columns, s + 5u);
  add_cells(&(*sums)[6], pass_on(held, 6u), columns, s + 6u);
  add_cells(&(*sums)[7], pass_on(held, 7u), columns, s + 7u);
}

fn write_sums(sums: ptr<function, array<vec4f, 8>>, row: u32, quad: u32) {
  for (var i = 0u; i < 8u; i++) {
    if (row + i < params.batch) { write_out(rows_of(params.inputs), row + i, quad, (*sums)[i]); }
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
  let inputs_quad = index / params.along * THREADS + thread;
  let line = min(4u * inputs_quad + vec4u(0u, 1u, 2u, 3u), vec4u(params.inputs - 1u));
  let group = params.first_sample / 16u + along;
  // Wraps below zero where an earlier part of the step has the group's first samples; such rows are beyond the batch.
  let row = 16u * group - params.first_sample;

  let draws = all_draws();
  let cells = params.cells;
  let rows = rows_of(cells);

  var sums0: array<vec4f, 8>;
  var sums1: array<vec4f, 8>;
  for (var quad = 0u; 4u * quad < cells; quad++) {
    let held0 = hold(rows, row, quad, thread);
    let w0 = read_b(rows, line.x, quad);
    let w1 = read_b(rows, line.y, quad);
    let w2 = read_b(rows, line.z, quad);
    let w3 = read_b(rows, line.w, quad);

    let exist = select(vec4u(), vec4u(0xffffffffu), 4u * quad + vec4u(0u, 1u, 2u, 3u) < vec4u(cells));
    let state = first_state(draws, inputs_quad, quad, group);
    let low = synapse_mask(draws, state) & exist;
    let high = synapse_mask(draws, second_state(state)) & exist;
    let columns = array(
      Column(vec4f(w0.x, w1.x, w2.x, w3.x), vec4u(low.xx, high.xx)),
      Column(vec4f(w0.y, w1.y, w2.y, w3.y), vec4u(low.yy, high.yy)),
      Column(vec4f(w0.z, w1.z, w2.z, w3.z), vec4u(low.zz, high.zz)),
      Column(vec4f(w0.w, w1.w, w2.w, w3.w), vec4u(low.ww, high.ww)),
    );
    add_all_cells(&sums0, held0, columns, 0u);
    let held1 = hold(rows, row + 8u, quad, thread);
    add_all_cells(&sums1, held1, columns, 8u);
  }

  write_sums(&sums0, row, inputs_quad);
  write_sums(&sums1, row + 8u, inputs_quad);
}
