// Shared: four elements of a step of SGD in PyTorch's order, g = grad + weightDecay·param,
// velocity ← momentum·velocity + g, param ← param − lr·velocity. The kernel's Params have the three numbers.

struct Moved { param: vec4f, velocity: vec4f }

fn moved(param: vec4f, grad: vec4f, velocity: vec4f) -> Moved {
  let v = params.momentum * velocity + (grad + params.weightDecay * param);
  return Moved(param - params.lr * v, v);
}
