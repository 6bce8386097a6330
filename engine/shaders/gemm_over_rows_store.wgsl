// The end of a gemm_over_rows kernel that stores its sums: out, [slices, taps × channels, columns].

// What a thread finishes at once; some variants have it otherwise.
alias Floats = vec4f;

@group(0) @binding(3) var<storage, read_write> out: array<Floats>;

fn finish(at: u32, sum: Floats) { out[at] = sum; }
