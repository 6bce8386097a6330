// The adapter's ceiling of arithmetic: multiply-adds on registers, nothing read meanwhile.
//
//   out: threads · 4 floats, each thread's sums added up
// A thread carries three sums of four lanes, independent, so that a multiply-add need not wait for the one before it;
// from x they become x·a + b, `steps` times, a multiple of 8. a and b come from outside: no compiler knows that a is 1.

struct Params { steps: u32, a: f32, b: f32 }

const THREADS: u32 = 64;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> out: array<vec4f>;

@compute @workgroup_size(THREADS)
fn main(@builtin(global_invocation_id) thread: vec3u) {
  let a = vec4f(params.a);
  let b = vec4f(params.b);
  var x = vec4f(f32(thread.x % 64));
  var y = x + 1;
  var z = x + 2;
  for (var step = 0u; step < params.steps; step += 8) {
    x = eight(x, a, b);
    y = eight(y, a, b);
    z = eight(z, a, b);
  }
  out[thread.x] = x + y + z;
}

fn eight(x: vec4f, a: vec4f, b: vec4f) -> vec4f {
  let half = fma(fma(fma(fma(x, a, b), a, b), a, b), a, b);
  return fma(fma(fma(fma(half, a, b), a, b), a, b), a, b);
}
