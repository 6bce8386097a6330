// Cuts the last axis short, or fills it up with zeros.
//
//   x:   [rows, oldChannels]
//   out: [rows, channels], size floats
// A thread makes one element.
//
//   Element: f32 or f16, of both

alias Element = f32;

struct Params { size: u32, oldChannels: u32, channels: u32 }

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Element>;
@group(0) @binding(2) var<storage, read_write> out: array<Element>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = (group.y * groups.x + group.x) * 64 + lane;
  if (i >= params.size) { return; }
  let channel = i % params.channels;
  var value = Element();
  if (channel < params.oldChannels) { value = x[i / params.channels * params.oldChannels + channel]; }
  out[i] = value;
}
