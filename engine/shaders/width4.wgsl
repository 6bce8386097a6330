// Shared, as the first piece: a thread's step is four neighbouring numbers, loaded at once. Kernels over `Values` count
// in steps: where their channels divide by four they run with this piece, else with width1.wgsl.

const WIDTH: u32 = 4;
alias Values = vec4f;
alias Indices = vec4u;
