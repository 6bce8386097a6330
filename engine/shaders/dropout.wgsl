// out = x / (1 - p) where the mask keeps an element, else 0: dropout forward, and backward with dy for x.
// Comes after random.wgsl.
//
//   x, out [rows, features]
// A thread makes 4 neighbouring elements of a row from one call of the generator, a 32-bit word each: an element is
// dropped where its word is below p, a fraction of 2^32 in (0, 2^32).

struct Params {
  rows: u32, features: u32,
  first_sample: u32, // which sample of the step row 0 is
  p: u32,
  scale: f32, // 1 / (1 - p)
  key0: u32, key1: u32, key2: u32, key3: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let thread = (group.y * groups.x + group.x) * 64u + lane;
  let quads = (params.features + 3u) / 4u;
  let row = thread / quads;
  let quad = thread % quads;
  if (row >= params.rows) { return; }

  let key = vec4u(params.key0, params.key1, params.key2, params.key3);
  let drawn = threefry4x32(vec4u(quad, 0u, params.first_sample + row, 2u << 24u), key); // Purpose.dropout
  let kept = drawn >= vec4u(params.p);
  for (var i = 0u; i < min(4u, params.features - quad * 4u); i++) {
    let at = row * params.features + quad * 4u + i;
    out[at] = select(0.0, x[at] * params.scale, kept[i]);
  }
}
