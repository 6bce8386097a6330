// How the sums of a product become its result: out = sums · scale + bias + residual, then max(…, 0), each part where its
// flag is 1. Shared by the kernels behind conv2d, linear and matmul; each says what `Outputs` are: f32, or vec4f for
// four neighbouring columns at once; and `Stored`, the same of Elements.
//
//   Element: f32 or f16, of the product's operands, residual and out
//
//   scale, bias: [columns]
//   residual, out: [images, outHeight, outWidth, columns]
// Where hasScale, hasBias or hasResidual is 0, any buffer may stand for that one.

alias Element = f32;

@group(0) @binding(3) var<storage, read> scale: array<Outputs>;
@group(0) @binding(4) var<storage, read> bias: array<Outputs>;
@group(0) @binding(5) var<storage, read> residual: array<Stored>;
@group(0) @binding(6) var<storage, read_write> out: array<Stored>;

// What the sums of a column are multiplied by, and what is added.
struct Affine { scale: Outputs, bias: Outputs }

fn affineOf(column: u32) -> Affine {
  var affine = Affine(Outputs(1), Outputs());
  if (params.hasScale == 1) { affine.scale = scale[column]; }
  if (params.hasBias == 1) { affine.bias = bias[column]; }
  return affine;
}

fn finish(sum: Outputs, affine: Affine, at: u32) {
  var value = sum * affine.scale + affine.bias;
  if (params.hasResidual == 1) { value += Outputs(residual[at]); }
  if (params.relu == 1) { value = select(value, Outputs(), value < Outputs()); } // not max, which may lose a NaN
  out[at] = Stored(value);
}
