// Shared: sums and maxima over the LANES threads of a workgroup, in a fixed order. All of its threads must call them.
// LANES: a power of two.

const LANES: u32 = 64;

var<workgroup> reduced: array<f32, LANES>;

fn workgroupSum(value: f32, lane: u32) -> f32 {
  workgroupBarrier();
  reduced[lane] = value;
  for (var half = LANES / 2; half > 0; half /= 2) {
    workgroupBarrier();
    if (lane < half) { reduced[lane] += reduced[lane + half]; }
  }
  workgroupBarrier();
  return reduced[0];
}

fn workgroupMax(value: f32, lane: u32) -> f32 {
  workgroupBarrier();
  reduced[lane] = value;
  for (var half = LANES / 2; half > 0; half /= 2) {
    workgroupBarrier();
    if (lane < half) { reduced[lane] = max(reduced[lane], reduced[lane + half]); }
  }
  workgroupBarrier();
  return reduced[0];
}
