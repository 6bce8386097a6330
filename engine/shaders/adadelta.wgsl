// A step of Adadelta (Zeiler 2012, algorithm 1, with a learning rate) in PyTorch's order:
//
//   g = grad + weightDecay·param,  E[g²] ← rho·E[g²] + (1 − rho)·g²
//   Δ = √(E[Δ²] + eps) / √(E[g²] + eps) · g,  E[Δ²] ← rho·E[Δ²] + (1 − rho)·Δ²,  param ← param − lr·Δ
//
//   param: size floats, changed in place;  grad: size floats
//   squareAverage, deltaAverage: size floats each, changed in place: E[g²] and E[Δ²]
// A thread makes STEPS times four elements; LANES threads lie side by side, so that reads are contiguous. The last four
// may reach beyond the tensor, into the end of its buffer that nobody reads.

struct Params { size: u32, lr: f32, rho: f32, eps: f32, weightDecay: f32 }

const LANES: u32 = 64;
const STEPS: u32 = 8;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> param: array<vec4f>;
@group(0) @binding(2) var<storage, read> grad: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> squareAverage: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> deltaAverage: array<vec4f>;

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let first = (group.y * groups.x + group.x) * LANES * STEPS + lane;
  let end = min(first + LANES * STEPS, (params.size + 3) / 4);
  for (var i = first; i < end; i += LANES) {
    let p = param[i]; // once: behind a store it would be loaded again
    let g = grad[i] + params.weightDecay * p;
    let square = params.rho * squareAverage[i] + (1 - params.rho) * g * g;
    let average = deltaAverage[i];
    let delta = sqrt(average + params.eps) / sqrt(square + params.eps) * g;
    squareAverage[i] = square;
    deltaAverage[i] = params.rho * average + (1 - params.rho) * delta * delta;
    param[i] = p - params.lr * delta;
  }
}
