// Shared, as the first piece: a thread's step is one number. Its counterpart is width4.wgsl.

const WIDTH: u32 = 1;
alias Values = f32;
alias Indices = u32;
