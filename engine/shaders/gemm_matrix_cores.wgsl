// The matrix cores of a GPU, as gemm_matrix.wgsl uses them; the first piece of its source. All lanes of a subgroup hold
// a matrix together, and all of them call these.
//
//   M, N, K: a product is [M, K] · [K, N]; one of those that the adapter has, of f16 with sums in f32
//   SUBGROUP: lanes of a subgroup
enable f16;
enable subgroups;
enable chromium_experimental_subgroup_matrix;

const M: u32 = 16;
const N: u32 = 16;
const K: u32 = 16;
const SUBGROUP: u32 = 32;

alias Left = subgroup_matrix_left<f16, K, M>;
alias Right = subgroup_matrix_right<f16, N, K>;
alias Sums = subgroup_matrix_result<f32, N, M>;

// Rows of xTile, and of weightTile, from an element on.
fn left(first: u32) -> Left { return subgroupMatrixLoad<Left, row_major>(&xTile, first, DEPTH); }

fn right(first: u32) -> Right { return subgroupMatrixLoad<Right, row_major>(&weightTile, first, TILE); }

fn plus(sums: Sums, a: Left, b: Right) -> Sums { return subgroupMatrixMultiplyAccumulate(a, b, sums); }

fn keep(sums: Sums, first: u32) { subgroupMatrixStore<row_major>(&sumTile, first, sums, N); }
