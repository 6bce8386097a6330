enable subgroups;

// The eight values that all threads of a workgroup need, for workgroups of 8 threads in one subgroup: each thread reads
// one of them and passes it on. Comes first; the kernel defines shared_value(row, first, k), the k-th of the values.

fn shared_values(row: u32, first: u32, thread: u32) -> array<f32, 8> {
  let own = shared_value(row, first, thread);
  return array(
    subgroupBroadcast(own, 0u), subgroupBroadcast(own, 1u), subgroupBroadcast(own, 2u), subgroupBroadcast(own, 3u),
    subgroupBroadcast(own, 4u), subgroupBroadcast(own, 5u), subgroupBroadcast(own, 6u), subgroupBroadcast(own, 7u),
  );
}
