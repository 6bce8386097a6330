// Images with zeros around them.
//
//   x:   [images, height, width, channels]
//   out: [images, outHeight, outWidth, channels]; x lies `padding` pixels from its top and left
//   Element: f32 or f16, of both
// A thread makes up to RUN floats of one line, LANES apart; group.x counts parts of a line, group.y lines, group.z images.

alias Element = f32;

struct Params { height: u32, width: u32, channels: u32, outHeight: u32, outWidth: u32, padding: u32 }

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Element>;
@group(0) @binding(2) var<storage, read_write> out: array<Element>;

const LANES: u32 = 16;
const RUN: u32 = 16;

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let lineFloats = params.width * params.channels;
  let outFloats = params.outWidth * params.channels;
  let h = group.y - params.padding; // above the image it wraps to more than any height
  let line = (group.z * params.height + h) * lineFloats;
  let outLine = (group.z * params.outHeight + group.y) * outFloats;
  let first = group.x * LANES * RUN + lane;
  let end = min(outFloats, first + LANES * RUN);
  for (var i = first; i < end; i += LANES) {
    let at = i - params.padding * params.channels; // wraps as h does
    let inside = h < params.height && at < lineFloats;
    out[outLine + i] = select(Element(), x[select(0, line + at, inside)], inside);
  }
}
