// The inner step of the gemm_*_subgroup kernels; comes first among their sources.
//
// They are made for software adapters (lavapipe), where arithmetic is a few vector instructions of the CPU but each float
// loaded from a buffer costs about eight scalar ones: range checks by the lane. So a workgroup is 8 lanes, one subgroup;
// a value is loaded by one lane alone and reaches the others by a shuffle, which costs one instruction (a broadcast
// three: it asks which lanes are active); and a lane makes as many results as the code of one step leaves room for in a
// CPU's instruction cache: 32 rows by 8 columns.
// Two steps of the sum are taken at once, which halves the traffic of the sums between stack and registers.
// Right on any adapter whose subgroups have 8 lanes or more, on GPUs slower than the tiled kernels.
enable subgroups;

// A lane's columns in one row: 8 of them as two quads, or what a kernel's variant says.
alias Part = vec4f;
const PARTS: u32 = 2;
alias Row = array<Part, PARTS>;

// sums += a.x · b0 + a.y · b1
fn addRow(sums: ptr<function, Row>, a: vec2f, b0: Row, b1: Row) {
  for (var v = 0u; v < PARTS; v++) {
    (*sums)[v] += a.x * b0[v];
    (*sums)[v] += a.y * b1[v];
  }
}

// The same for 8 rows, of which lane i holds a's of row i.
fn addRows(sums: ptr<function, array<Row, 8>>, a: vec2f, b0: Row, b1: Row) {
  addRow(&(*sums)[0], subgroupShuffle(a, 0), b0, b1);
  addRow(&(*sums)[1], subgroupShuffle(a, 1), b0, b1);
  addRow(&(*sums)[2], subgroupShuffle(a, 2), b0, b1);
  addRow(&(*sums)[3], subgroupShuffle(a, 3), b0, b1);
  addRow(&(*sums)[4], subgroupShuffle(a, 4), b0, b1);
  addRow(&(*sums)[5], subgroupShuffle(a, 5), b0, b1);
  addRow(&(*sums)[6], subgroupShuffle(a, 6), b0, b1);
  addRow(&(*sums)[7], subgroupShuffle(a, 7), b0, b1);
}
