// Shared, as the first piece: a thread's step is one number. Its counterpart is width4.wgsl.
//
// Element: f32, or f16 for tensors of half precision. Kernels that take those hold them as `Stored`.

const WIDTH: u32 = 1;
alias Element = f32;
alias Stored = Element;
alias Values = f32;
alias Indices = u32;
