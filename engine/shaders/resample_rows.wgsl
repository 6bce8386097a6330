// Resamples the rows of a batch of images, each by weights of its own, from bytes to bytes: the first of Pillow's two
// passes (libImaging/Resample.c, ImagingResampleHorizontal_8bpc), bit for bit, for its arithmetic is that of integers.
//
//   pixels:  u8, four to a word, the first in the lowest bits; of each image [rows, width, 3], which begins at a word
//   filters: for an output x or y its first input, how many inputs count, and that many weights, in 22 bits of fraction
//   images:  where things are of each image
//   out:     u8 [rows of all images, rowWords · 4]: rows of size · 3 bytes, filled up to whole words
// A thread makes a word of out; group.y counts the images, group.x 64 words of one.

struct Params { size: u32, rowWords: u32 }

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> pixels: array<u32>;
@group(0) @binding(2) var<storage, read> filters: array<u32>;
@group(0) @binding(3) var<storage, read> images: array<Image>;
@group(0) @binding(4) var<storage, read_write> out: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let image = images[group.y];
  let word = group.x * 64 + lane;
  if (word >= image.rows * params.rowWords) { return; }
  let row = 4 * image.pixels + word / params.rowWords * image.width * 3;
  let first = 4 * (word % params.rowWords);
  var packed = 0u;
  for (var i = 0u; i < 4; i++) {
    let x = min((first + i) / 3, params.size - 1);
    let filter_ = image.across + x * (image.acrossTaps + 2);
    var at = row + filters[filter_] * 3 + (first + i) % 3;
    let end = filter_ + 2 + filters[filter_ + 1];
    var sum = HALF;
    for (var tap = filter_ + 2; tap < end; tap++) {
      sum += ((pixels[at / 4] >> (8 * (at % 4))) & 255) * filters[tap];
      at += 3;
    }
    packed |= (sum >> PRECISION_BITS) << (8 * i);
  }
  out[image.firstRow * params.rowWords + word] = packed;
}
