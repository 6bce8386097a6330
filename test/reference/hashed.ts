/**
 * The weights of the recorded networks, made from their names: any language can make the same ones, so that none need
 * storing. The recorded numbers are PyTorch's for exactly these weights.
 */

/** CRC-32 as zlib has it (reflected polynomial 0xedb88320). */
function crc32(text: string): number {
  let crc = 0xffffffff
  for (const byte of new TextEncoder().encode(text)) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0)
  }
  return (crc ^ 0xffffffff) >>> 0
}

/**
 * Uniform in [-1, 1): number i is (lowbias32(crc32(name) + i) >> 8) / 2^23 − 1, then made `to` something. (lowbias32 is
 * the integer hash of https://github.com/skeeto/hash-prospector.)
 */
export function hashed(name: string, count: number, to = (u: number) => u): Float32Array<ArrayBuffer> {
  const out = new Float32Array(count)
  const start = crc32(name)
  for (let i = 0; i < count; i++) {
    let x = (start + i) | 0
    x = Math.imul(x ^ (x >>> 16), 0x7feb352d)
    x = Math.imul(x ^ (x >>> 15), 0x846ca68b)
    x ^= x >>> 16
    out[i] = to((x >>> 8) / 2 ** 23 - 1)
  }
  return out
}

/**
 * What the tensor of a torchvision ResNet holds. u = hashed(name): convolution and fc weights u·√(6 / fanIn); fc bias
 * 0.1u; BatchNorm's weight 1 + 0.1u (a fifth of that for the last one of a block, which keeps deep networks' outputs
 * small), bias and running mean 0.1u, running variance 1 + 0.2u.
 * @param shape in PyTorch's layout: output channels first
 */
export function hashedWeight(
  name: string,
  shape: readonly number[],
  block: 'basic' | 'bottleneck',
): Float32Array<ArrayBuffer> {
  const count = shape.reduce((product, extent) => product * extent, 1)
  const lastNorm = block === 'bottleneck' ? 'bn3.weight' : 'bn2.weight'
  if (shape.length > 1) {
    const bound = Math.sqrt(6 / (count / shape[0]))
    return hashed(name, count, (u) => u * bound)
  }
  if (name.endsWith('running_var')) return hashed(name, count, (u) => 1 + 0.2 * u)
  if (name.endsWith(lastNorm)) return hashed(name, count, (u) => (1 + 0.1 * u) * 0.2)
  if (name.endsWith('weight')) return hashed(name, count, (u) => 1 + 0.1 * u)
  return hashed(name, count, (u) => 0.1 * u)
}
