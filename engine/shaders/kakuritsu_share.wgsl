// Values that all threads of a workgroup need, each read by every thread: for GPUs, which serve reads of one word by
// many threads at once. The other form of kakuritsu_share_subgroup.wgsl.

alias Held = array<vec4f, 8>;

fn hold(place: u32, at: u32, thread: u32) -> Held {
  return Held(
    read_shared(place, at), read_shared(place + 1u, at), read_shared(place + 2u, at), read_shared(place + 3u, at),
    read_shared(place + 4u, at), read_shared(place + 5u, at), read_shared(place + 6u, at), read_shared(place + 7u, at),
  );
}

fn pass_on(held: Held, i: u32) -> vec4f { return held[i]; }
