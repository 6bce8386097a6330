// Resamples the columns of a batch of images whose rows resample_rows.wgsl has resampled, and mirrors those that want it:
// the second of Pillow's two passes (ImagingResampleVertical_8bpc).
//
//   rows:    u8 [rows of all images, rowWords · 4], as resample_rows.wgsl writes it
//   filters, images: as there
//   out:     u8 [N, size, size, 3], four to a word
// A thread makes a word of out, `words` in all.

struct Params { size: u32, rowWords: u32, words: u32, count: u32 }

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> rows: array<u32>;
@group(0) @binding(2) var<storage, read> filters: array<u32>;
@group(0) @binding(3) var<storage, read> images: array<Image>;
@group(0) @binding(4) var<storage, read_write> out: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let word = (group.y * groups.x + group.x) * 64 + lane;
  if (word >= params.words) { return; }
  let rowBytes = params.size * 3;
  var packed = 0u;
  for (var i = 0u; i < 4; i++) {
    let row = (4 * word + i) / rowBytes;
    let image = images[min(row / params.size, params.count - 1)];
    let y = row % params.size;
    let element = (4 * word + i) % rowBytes;
    let x = select(element / 3, params.size - 1 - element / 3, image.mirrored != 0);
    let byte = x * 3 + element % 3;
    let filter_ = image.down + y * (image.downTaps + 2);
    var at = (image.firstRow + filters[filter_]) * params.rowWords + byte / 4;
    let end = filter_ + 2 + filters[filter_ + 1];
    var sum = HALF;
    for (var tap = filter_ + 2; tap < end; tap++) {
      sum += ((rows[at] >> (8 * (byte % 4))) & 255) * filters[tap];
      at += params.rowWords;
    }
    packed |= (sum >> PRECISION_BITS) << (8 * i);
  }
  out[word] = packed;
}
