// Shared by the second passes over [slices, channels] arrays: a workgroup takes CHANNELS neighbouring channels, SPREAD
// threads to each, and adds up what those threads found.
// CHANNELS: 8 floats are the 32 bytes of a GPU's memory sector. SPREAD: a power of two.

const CHANNELS: u32 = 8;
const SPREAD: u32 = 32;

var<workgroup> found: array<f32, CHANNELS * SPREAD>;

// The sum of `value` over the threads of one channel, in a fixed order. All threads of the workgroup call it.
// lane = CHANNELS * (place among the channel's threads) + channel within the workgroup
fn sumOfChannel(value: f32, lane: u32) -> f32 {
  workgroupBarrier();
  found[lane] = value;
  for (var half = CHANNELS * SPREAD / 2; half >= CHANNELS; half /= 2) {
    workgroupBarrier();
    if (lane < half) { found[lane] += found[lane + half]; }
  }
  workgroupBarrier();
  return found[lane % CHANNELS];
}
