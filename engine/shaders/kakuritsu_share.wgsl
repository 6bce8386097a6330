// Values that all threads of a workgroup need, each read by every thread: for GPUs, which serve reads of one word by
// many threads at once. The other form of kakuritsu_share_subgroup.wgsl.

alias Held = array<vec4f, 8>;

fn hold(rows: Rows, row: u32, quad: u32, thread: u32) -> Held {
  return Held(
    read_shared(rows, row, quad), read_shared(rows, row + 1u, quad),
    read_shared(rows, row + 2u, quad), read_shared(rows, row + 3u, quad),
    read_shared(rows, row + 4u, quad), read_shared(rows, row + 5u, quad),
    read_shared(rows, row + 6u, quad), read_shared(rows, row + 7u, quad),
  );
}

fn pass_on(held: Held, i: u32) -> vec4f { return held[i]; }
