/**
 * The order of ResNet-152's operations, whatever they are made of: arrays of a framework, or names of a graph's values.
 * What enters a block is used by its `conv1` and then, last, by its shortcut; everything else once.
 * @param x the images
 * @param ops conv(x, name, relu): a convolution with its BatchNorm folded in; addRelu(a, b); maxPool(x): 3 × 3, stride
 *   2, padding 1; avgPool(x): of an image's pixels, [N, 2048]; has(name): whether there is such a convolution
 * @returns the features, [N, 2048]
 */
export function walkNetwork(x, { conv, addRelu, maxPool, avgPool, has }) {
  let out = maxPool(conv(x, 'conv1', true))
  for (let stage = 1; stage <= 4; stage++)
    for (let block = 0; has(`layer${stage}.${block}.conv1`); block++) {
      const name = `layer${stage}.${block}`
      const narrow = conv(conv(out, `${name}.conv1`, true), `${name}.conv2`, true)
      const wide = conv(narrow, `${name}.conv3`, false)
      const shortcut = has(`${name}.downsample.0`) ? conv(out, `${name}.downsample.0`, false) : out
      out = addRelu(wide, shortcut)
    }
  return avgPool(out)
}
