// A step of Adadelta (Zeiler 2012, algorithm 1, with a learning rate) in PyTorch's order:
//
//   g = grad + weightDecay·param,  E[g²] ← rho·E[g²] + (1 − rho)·g²
//   Δ = √(E[Δ²] + eps) / √(E[g²] + eps) · g,  E[Δ²] ← rho·E[Δ²] + (1 − rho)·Δ²,  param ← param − lr·Δ
//
//   param: size floats, changed in place;  grad: size floats
//   squareAverage, deltaAverage: size floats each, changed in place: E[g²] and E[Δ²]
// A thread makes one element.

struct Params { size: u32, lr: f32, rho: f32, eps: f32, weightDecay: f32 }

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> param: array<f32>;
@group(0) @binding(2) var<storage, read> grad: array<f32>;
@group(0) @binding(3) var<storage, read_write> squareAverage: array<f32>;
@group(0) @binding(4) var<storage, read_write> deltaAverage: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = (group.y * groups.x + group.x) * 64 + lane;
  if (i >= params.size) { return; }
  let value = param[i];
  let g = grad[i] + params.weightDecay * value;
  let square = params.rho * squareAverage[i] + (1 - params.rho) * g * g;
  let delta = sqrt(deltaAverage[i] + params.eps) / sqrt(square + params.eps) * g;
  squareAverage[i] = square;
  deltaAverage[i] = params.rho * deltaAverage[i] + (1 - params.rho) * delta * delta;
  param[i] = value - params.lr * delta;
}
