import { type Nd, nd, type Reference } from './nd.ts'

/**
 * The greatest value of each window of x: [N, H, W, C], padding excluded. As in PyTorch the first of equal values, in
 * row-major order, takes the gradient, and a NaN wins over every number, the last one over those before it.
 */
export function maxPool2d(
  x: Nd,
  { kernelSize, stride, padding }: { kernelSize: number; stride: number; padding: number },
): Reference {
  const [batch, height, width, channels] = x.shape
  const extent = (size: number) => Math.floor((size + 2 * padding - kernelSize) / stride) + 1
  const [outHeight, outWidth] = [extent(height), extent(width)]
  const out = nd([batch, outHeight, outWidth, channels])
  const winners = new Int32Array(out.data.length)
  for (let i = 0; i < out.data.length; i++) {
    const c = i % channels
    const ox = Math.floor(i / channels) % outWidth
    const oy = Math.floor(i / channels / outWidth) % outHeight
    const n = Math.floor(i / channels / outWidth / outHeight)
    let winner = -1
    for (let y = oy * stride - padding; y < oy * stride - padding + kernelSize; y++)
      for (let xx = ox * stride - padding; xx < ox * stride - padding + kernelSize; xx++) {
        if (y < 0 || y >= height || xx < 0 || xx >= width) continue
        const at = ((n * height + y) * width + xx) * channels + c
        if (winner < 0 || x.data[at] > x.data[winner] || Number.isNaN(x.data[at])) winner = at
      }
    winners[i] = winner
    out.data[i] = x.data[winner]
  }
  return {
    out,
    backward: (dOut) => {
      const dx = nd(x.shape)
      dOut.data.forEach((d, i) => {
        dx.data[winners[i]] += d
      })
      return { x: dx }
    },
  }
}

/**
 * Means over windows that divide x: [N, H, W, C] into outHeight × outWidth: along an axis of `size`, window i of `out`
 * spans [⌊i·size/out⌋, ⌈(i+1)·size/out⌉), as torch.nn.AdaptiveAvgPool2d.
 */
export function adaptiveAvgPool2d(x: Nd, [outHeight, outWidth]: readonly [number, number]): Reference {
  const [batch, height, width, channels] = x.shape
  const out = nd([batch, outHeight, outWidth, channels])
  const eachTerm = (visit: (outAt: number, xAt: number, area: number) => void) => {
    for (let i = 0; i < out.data.length; i++) {
      const c = i % channels
      const ox = Math.floor(i / channels) % outWidth
      const oy = Math.floor(i / channels / outWidth) % outHeight
      const n = Math.floor(i / channels / outWidth / outHeight)
      const [top, bottom] = [Math.floor((oy * height) / outHeight), Math.ceil(((oy + 1) * height) / outHeight)]
      const [left, right] = [Math.floor((ox * width) / outWidth), Math.ceil(((ox + 1) * width) / outWidth)]
      for (let y = top; y < bottom; y++)
        for (let xx = left; xx < right; xx++)
          visit(i, ((n * height + y) * width + xx) * channels + c, (bottom - top) * (right - left))
    }
  }
  eachTerm((outAt, xAt, area) => {
    out.data[outAt] += x.data[xAt] / area
  })
  return {
    out,
    backward: (dOut) => {
      const dx = nd(x.shape)
      eachTerm((outAt, xAt, area) => {
        dx.data[xAt] += dOut.data[outAt] / area
      })
      return { x: dx }
    },
  }
}
