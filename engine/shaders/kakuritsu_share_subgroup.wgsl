// Values that all 8 threads of a workgroup need, where they are one subgroup: a thread reads one of eight and the others
// get it by broadcast, which on a software adapter costs one instruction or none where a read costs dozens.
// Comes first among a kernel's sources. The kernel defines Shared, and read_shared(place, at), the value to be read.
enable subgroups;

// A thread's part of the eight values at `place` and the places after it.
alias Held = Shared;

fn hold(place: u32, at: u32, thread: u32) -> Held { return read_shared(place + thread, at); }

// The i-th of the eight.
fn pass_on(held: Held, i: u32) -> Shared {
  switch (i) {
    case 0u: { return subgroupBroadcast(held, 0u); }
    case 1u: { return subgroupBroadcast(held, 1u); }
    case 2u: { return subgroupBroadcast(held, 2u); }
    case 3u: { return subgroupBroadcast(held, 3u); }
    case 4u: { return subgroupBroadcast(held, 4u); }
    case 5u: { return subgroupBroadcast(held, 5u); }
    case 6u: { return subgroupBroadcast(held, 6u); }
    default: { return subgroupBroadcast(held, 7u); }
  }
}
