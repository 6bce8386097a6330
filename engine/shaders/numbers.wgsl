// Shared: what WGSL leaves out about NaN. Its compilers may assume that no float is one, so x != x proves nothing, and
// they refuse constant expressions that make one.

fn isNan(value: f32) -> bool {
  return (bitcast<u32>(value) & 0x7fffffff) > 0x7f800000;
}

fn nan() -> f32 {
  var bits = 0x7fc00000u;
  return bitcast<f32>(bits);
}
