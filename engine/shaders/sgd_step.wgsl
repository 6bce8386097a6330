// Shared: some elements of a step of SGD in PyTorch's order, g = grad + weightDecay·param,
// velocity ← momentum·velocity + g, param ← param − lr·velocity. The kernel's Params have the three numbers.

// What is moved at once; some variants have it otherwise.
alias Floats = vec4f;

struct Moved { param: Floats, velocity: Floats }

fn moved(param: Floats, grad: Floats, velocity: Floats) -> Moved {
  let v = params.momentum * velocity + (grad + params.weightDecay * param);
  return Moved(param - params.lr * v, v);
}
