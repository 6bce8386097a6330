// out = (byte / 255 − mean) / std, by channel: torchvision's ToTensor and Normalize.
//
//   bytes: [N, H, W, CHANNELS] of u8, four to a word, the first in the lowest bits
//   out:   [N, H, W, CHANNELS], size floats
// CHANNELS: 1 or 3, a constant because a division by it is a multiplication then.
// A thread makes STEPS times four elements; LANES threads lie side by side, so that reads are contiguous. The last four
// may reach beyond the tensor, into the end of its buffer that nobody reads.

struct Params { size: u32, mean0: f32, mean1: f32, mean2: f32, std0: f32, std1: f32, std2: f32 }

const CHANNELS: u32 = 3;
const LANES: u32 = 64;
const STEPS: u32 = 8;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> bytes: array<u32>;
@group(0) @binding(2) var<storage, read_write> out: array<vec4f>;

// What four neighbouring elements take of a number by channel, the first of them being of channel c.
fn fromChannel(c: u32, number: vec3f) -> vec4f {
  return vec4f(number[c], number[(c + 1) % CHANNELS], number[(c + 2) % CHANNELS], number[(c + 3) % CHANNELS]);
}

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let mean = vec3f(params.mean0, params.mean1, params.mean2);
  let deviation = vec3f(params.std0, params.std1, params.std2);
  let first = (group.y * groups.x + group.x) * LANES * STEPS + lane;
  let end = min(first + LANES * STEPS, (params.size + 3) / 4);
  for (var i = first; i < end; i += LANES) {
    let channel = 4 * i % CHANNELS;
    out[i] = (unpack4x8unorm(bytes[i]) - fromChannel(channel, mean)) / fromChannel(channel, deviation);
  }
}
