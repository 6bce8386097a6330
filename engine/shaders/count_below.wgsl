// counts[slot] = how many elements of x are below `limit`.
//
//   x: size numbers;  counts: its element `slot` is written, the others are left
// One workgroup makes it, each thread every LANES-th element: meant for the few numbers of a batch.

struct Params { size: u32, limit: u32, slot: u32 }

const LANES: u32 = 64;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<u32>;
@group(0) @binding(2) var<storage, read_write> counts: array<u32>;

var<workgroup> total: atomic<u32>;

@compute @workgroup_size(LANES)
fn main(@builtin(local_invocation_index) lane: u32) {
  if (lane == 0) { atomicStore(&total, 0); } // for drivers that leave it as it was
  workgroupBarrier();
  var count = 0u;
  for (var i = lane; i < params.size; i += LANES) { count += select(0u, 1u, x[i] < params.limit); }
  atomicAdd(&total, count);
  workgroupBarrier();
  if (lane == 0) { counts[params.slot] = atomicLoad(&total); }
}
