// What gemm_matrix_cores.wgsl says, for adapters without matrix cores: every lane makes all of every product, so that the
// rest of gemm_matrix.wgsl can be run anywhere.
enable f16;
enable subgroups;

const M: u32 = 16;
const N: u32 = 16;
const K: u32 = 16;
const SUBGROUP: u32 = 32;

alias Left = array<f32, M * K>;
alias Right = array<f32, K * N>;
alias Sums = array<f32, M * N>;

fn left(first: u32) -> Left {
  var matrix: Left;
  for (var i = 0u; i < M * K; i++) { matrix[i] = f32(xTile[first + i / K * DEPTH + i % K]); }
  return matrix;
}

fn right(first: u32) -> Right {
  var matrix: Right;
  for (var i = 0u; i < K * N; i++) { matrix[i] = f32(weightTile[first + i / N * TILE + i % N]); }
  return matrix;
}

fn plus(sums: Sums, a: Left, b: Right) -> Sums {
  var out = sums;
  for (var i = 0u; i < M * N; i++) {
    for (var k = 0u; k < K; k++) { out[i] += a[i / N * K + k] * b[k * N + i % N]; }
  }
  return out;
}

fn keep(sums: Sums, first: u32) {
  for (var i = 0u; i < M * N; i++) { sumTile[first + i] = sums[i]; }
}
