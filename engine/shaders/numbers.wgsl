// Shared: tests on floats by their bits. A WGSL compiler may assume that no float is NaN, so x != x proves nothing.

fn isNan(value: f32) -> bool {
  return (bitcast<u32>(value) & 0x7fffffff) > 0x7f800000;
}

// WGSL has no literal for NaN, and refuses constant expressions that make one.
fn nan() -> f32 {
  var bits = 0x7fc00000u;
  return bitcast<f32>(bits);
}
