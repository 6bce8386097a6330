// Values that all 8 threads of a workgroup need, where they are one subgroup: a thread reads one of eight and the others
// get it by a shuffle, which on a software adapter costs one instruction (a broadcast three: it asks which lanes are
// active) where a read costs dozens.
// Comes first among a kernel's sources.
enable subgroups;

// A thread's part of the quads of eight samples, `row` and the rows after it. Rows beyond the batch, which count for
// nothing, are read as its last.
alias Held = vec4f;

fn hold(rows: Rows, row: u32, quad: u32, thread: u32) -> Held {
  return read_a(rows, min(row + thread, params.batch - 1u), quad);
}

// The i-th of the eight.
fn pass_on(held: Held, i: u32) -> vec4f {
  switch (i) {
    case 0u: { return subgroupShuffle(held, 0u); }
    case 1u: { return subgroupShuffle(held, 1u); }
    case 2u: { return subgroupShuffle(held, 2u); }
    case 3u: { return subgroupShuffle(held, 3u); }
    case 4u: { return subgroupShuffle(held, 4u); }
    case 5u: { return subgroupShuffle(held, 5u); }
    case 6u: { return subgroupShuffle(held, 6u); }
    default: { return subgroupShuffle(held, 7u); }
  }
}
