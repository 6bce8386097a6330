// Shared: some elements of a step of SGD in PyTorch's order, g = grad + weightDecay·param,
// velocity ← momentum·velocity + g, param ← param − lr·velocity. The kernel's Params have the three numbers, and it says
// what `Floats` are: f32, or vec4f for four elements at once.

struct Moved { param: Floats, velocity: Floats }

fn moved(param: Floats, grad: Floats, velocity: Floats) -> Moved {
  let v = params.momentum * velocity + (grad + params.weightDecay * param);
  return Moved(param - params.lr * v, v);
}
