// The eight values that all threads of a workgroup need, read by each of them: for adapters that serve neighbours'
// reads of one word together. The kernel defines shared_value(row, first, k), the k-th of the values.

fn shared_values(row: u32, first: u32, thread: u32) -> array<f32, 8> {
  return array(
    shared_value(row, first, 0u), shared_value(row, first, 1u), shared_value(row, first, 2u), shared_value(row, first, 3u),
    shared_value(row, first, 4u), shared_value(row, first, 5u), shared_value(row, first, 6u), shared_value(row, first, 7u),
  );
}
