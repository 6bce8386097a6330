// Shared: what turns a row of logits into probabilities, p = exp((x − max) − logSum). Behind workgroup_reduce.wgsl;
// reads the storage buffer `x: [rows, classes]`. Infinite and NaN logits give NaN, as in PyTorch; −∞ gives p = 0.

struct Normaliser {
  max: f32,    // the row's greatest logit
  logSum: f32, // log Σ exp(x − max)
}

fn normaliserOf(row: u32, classes: u32, lane: u32) -> Normaliser {
  let origin = row * classes;
  var greatest = x[origin + min(lane, classes - 1)];
  for (var k = lane; k < classes; k += LANES) { greatest = max(greatest, x[origin + k]); }
  greatest = workgroupMax(greatest, lane);
  var sum = 0.0;
  for (var k = lane; k < classes; k += LANES) { sum += exp(x[origin + k] - greatest); }
  return Normaliser(greatest, log(workgroupSum(sum, lane)));
}
