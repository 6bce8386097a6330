// Shared by the second passes over [slices, channels] arrays: a workgroup takes LANES neighbouring steps of channels,
// SPREAD threads to each, and adds up what those threads found. Behind width1.wgsl or width4.wgsl.
// SPREAD: a power of two; 1 for few slices, as barriers cost more than a thread's short walk then.

const LANES: u32 = 8;
const SPREAD: u32 = 32;

var<workgroup> found: array<Values, LANES * SPREAD>;

// The sum of `value` over the threads of one step of channels, in a fixed order. All threads of the workgroup call it.
// lane = LANES * (place among those threads) + step within the workgroup
fn sumOfStep(value: Values, lane: u32) -> Values {
  if (SPREAD == 1) { return value; }
  workgroupBarrier();
  found[lane] = value;
  for (var half = LANES * SPREAD / 2; half >= LANES; half /= 2) {
    workgroupBarrier();
    if (lane < half) { found[lane] += found[lane + half]; }
  }
  workgroupBarrier();
  return found[lane % LANES];
}
