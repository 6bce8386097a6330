// Values that all threads of a workgroup need, each read by every thread: for GPUs, which serve reads of one word by
// many threads at once. The other form of kakuritsu_share_subgroup.wgsl.

// The quads of eight samples, `row` and the rows after it. Rows beyond the batch, which count for nothing, are read as its
// last.
alias Held = array<vec4f, 8>;

fn hold(rows: Rows, row: u32, quad: u32, thread: u32) -> Held {
  let last = params.batch - 1u;
  return Held(
    read_a(rows, min(row, last), quad),
    read_a(rows, min(row + 1u, last), quad),
    read_a(rows, min(row + 2u, last), quad),
    read_a(rows, min(row + 3u, last), quad),
    read_a(rows, min(row + 4u, last), quad),
    read_a(rows, min(row + 5u, last), quad),
    read_a(rows, min(row + 6u, last), quad),
    read_a(rows, min(row + 7u, last), quad),
  );
}

fn pass_on(held: Held, i: u32) -> vec4f { return held[i]; }
