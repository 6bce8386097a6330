// Shared by the kernels of batch normalisation: what normalises one step of channels. Behind width1.wgsl or width4.wgsl.

struct Normal {
  mean: Values,
  // 1 / √(variance + eps)
  inverseStd: Values,
  // weight / √(variance + eps)
  scale: Values,
  bias: Values,
}

fn normalOf(mean: Values, variance: Values, eps: f32, weight: Values, bias: Values) -> Normal {
  let inverseStd = 1.0 / sqrt(variance + eps);
  return Normal(mean, inverseStd, weight * inverseStd, bias);
}

// (x − mean) / √(variance + eps) · weight + bias
fn normalised(x: Values, by: Normal) -> Values {
  // Not x·scale + (bias − mean·scale): with a mean far from 0 that subtracts two large numbers.
  return (x - by.mean) * by.scale + by.bias;
}
