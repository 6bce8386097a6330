// Shared: the windows by which adaptive pooling divides an axis of `size` into `parts`, as PyTorch lays them. Part i
// covers [windowStart(i), windowEnd(i)). Read the other way round, place p lies in the parts
// [windowStart(p, parts, size), windowEnd(p, parts, size)).

// ⌊i · size / parts⌋
fn windowStart(i: u32, size: u32, parts: u32) -> u32 { return i * size / parts; }

// ⌈(i + 1) · size / parts⌉
fn windowEnd(i: u32, size: u32, parts: u32) -> u32 { return ((i + 1) * size + parts - 1) / parts; }
