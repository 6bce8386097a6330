/** Convolution as torch.nn.functional.conv2d defines it, in float64, with images [N, H, W, C] and weights HWIO. */
import { sumRows } from './matmul.ts'
import { map, type Nd, nd, type Reference } from './nd.ts'

export interface Conv2dOptions {
  stride?: number
  padding?: number
  dilation?: number
  groups?: number
}

/**
 * y[n, oh, ow, o] = bias[o] + Σ x[n, oh·stride − padding + kh·dilation, …, c] · weight[kh, kw, c, o], c within o's group.
 * x: [N, H, W, C], weight: [KH, KW, C / groups, O], bias: [O]. Gradients `x`, `weight` and, with a bias, `bias`.
 */
export function conv2d(x: Nd, weight: Nd, bias?: Nd, options: Conv2dOptions = {}): Reference {
  const { stride = 1, padding = 0, dilation = 1, groups = 1 } = options
  const [images, height, width, channels] = x.shape
  const [kernelHeight, kernelWidth, groupChannels, outputs] = weight.shape
  const extent = (size: number, kernel: number) =>
    Math.floor((size + 2 * padding - dilation * (kernel - 1) - 1) / stride) + 1
  const [outHeight, outWidth] = [extent(height, kernelHeight), extent(width, kernelWidth)]

  /** Calls `visit` with the flat indices of each product that the convolution sums. */
  const eachProduct = (visit: (x: number, weight: number, y: number) => void) => {
    for (let n = 0; n < images; n++)
      for (let oh = 0; oh < outHeight; oh++)
        for (let ow = 0; ow < outWidth; ow++)
          for (let kh = 0; kh < kernelHeight; kh++)
            for (let kw = 0; kw < kernelWidth; kw++) {
              const h = oh * stride - padding + kh * dilation
              const w = ow * stride - padding + kw * dilation
              if (h < 0 || h >= height || w < 0 || w >= width) continue
              const pixel = ((n * height + h) * width + w) * channels
              const row = ((n * outHeight + oh) * outWidth + ow) * outputs
              for (let c = 0; c < groupChannels; c++)
                for (let o = 0; o < outputs; o++) {
                  const group = Math.floor(o / (outputs / groups))
                  const tap = ((kh * kernelWidth + kw) * groupChannels + c) * outputs + o
                  visit(pixel + group * groupChannels + c, tap, row + o)
                }
            }
  }

  const out = nd([images, outHeight, outWidth, outputs])
  eachProduct((i, j, k) => {
    out.data[k] += x.data[i] * weight.data[j]
  })
  return {
    out: bias ? map(out, (value, i) => value + bias.data[i % outputs]) : out,
    backward: (dOut) => {
      const [dx, dWeight] = [nd(x.shape), nd(weight.shape)]
      eachProduct((i, j, k) => {
        dx.data[i] += weight.data[j] * dOut.data[k]
        dWeight.data[j] += x.data[i] * dOut.data[k]
      })
      return { x: dx, weight: dWeight, ...(bias && { bias: sumRows(dOut) }) }
    },
  }
}
