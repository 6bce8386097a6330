// Shared, as the first piece: a thread's step is four neighbouring numbers, loaded at once. Kernels over `Values` count
// in steps: where their channels divide by four they run with this piece, else with width1.wgsl.
//
// Element: f32, or f16 for tensors of half precision. Kernels that take those hold them as `Stored`.

const WIDTH: u32 = 4;
alias Element = f32;
alias Stored = vec4<Element>;
alias Values = vec4f;
alias Indices = vec4u;
