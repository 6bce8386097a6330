// Shared: the mean of some rows of one step of channels, and the sum of squared differences from it. Behind width1.wgsl
// or width4.wgsl; the kernel binds x: [rows, channels] of Stored.
//
// CHUNK rows at a time are summed as d = x − origin with the chunk's first value as origin (Chan, Golub and LeVeque 1983:
// shifted data). As origin is one of n values, (origin − mean)² ≤ squares, so that the subtraction at the end magnifies
// rounding n-fold at worst, however far the mean lies from 0. Chunks are joined by the same paper's
// updating formula.

const CHUNK: u32 = 32;

struct Statistics { mean: Values, squares: Values }

fn statisticsOf(step: u32, steps: u32, firstRow: u32, rows: u32) -> Statistics {
  var joined = Statistics();
  for (var done = 0u; done < rows; done += CHUNK) {
    let count = min(CHUNK, rows - done);
    var at = (firstRow + done) * steps + step;
    let origin = Values(x[at]);
    var sum = Values();
    var sumOfSquares = Values();
    for (var row = 0u; row < count; row++) {
      let d = Values(x[at]) - origin;
      sum += d;
      sumOfSquares += d * d;
      at += steps;
    }
    let meanOfD = sum / f32(count);
    let squares = sumOfSquares - sum * meanOfD;
    let distance = origin + meanOfD - joined.mean;
    let share = f32(count) / f32(done + count);
    joined.mean += distance * share;
    joined.squares += select(squares, Values(), squares < Values()); // not max, which may lose a NaN
    joined.squares += distance * (distance * (f32(done) * share)); // in this order 0 at first, whatever the mean
  }
  return joined;
}
