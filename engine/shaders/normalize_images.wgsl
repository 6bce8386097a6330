// out = (byte / 255 − mean) / std, by channel: torchvision's ToTensor and Normalize.
//
//   bytes: [N, H, W, CHANNELS] of u8, four to a word, the first in the lowest bits
//   out:   [N, H, W, CHANNELS], size floats
// A thread makes one element.
// CHANNELS: 1 or 3, a constant because a division by it is a multiplication then.

struct Params { size: u32, mean0: f32, mean1: f32, mean2: f32, std0: f32, std1: f32, std2: f32 }

const CHANNELS: u32 = 3;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> bytes: array<u32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = (group.y * groups.x + group.x) * 64 + lane;
  if (i >= params.size) { return; }
  let mean = vec3f(params.mean0, params.mean1, params.mean2);
  let deviation = vec3f(params.std0, params.std1, params.std2);
  let channel = i % CHANNELS;
  let byte = extractBits(bytes[i / 4], 8 * (i % 4), 8);
  out[i] = (f32(byte) / 255.0 - mean[channel]) / deviation[channel];
}
