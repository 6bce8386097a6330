/** Room made at the end of rows, for kernels that read channels in twos or fours. */
import { Kernel, spread } from '../kernel.ts'
import resizeSource from '../shaders/resize_channels.wgsl'
import { empty, type Tensor } from '../tensor.ts'

const resizeKernel = new Kernel('resize_channels', resizeSource)

/** x, [..., from], as [rows, to]: each row cut short or filled up with zeros. x itself where nothing changes. */
export function resizeRows(x: Tensor, from: number, to: number): Tensor {
  if (from === to) return x
  const out = empty(x.device, [x.size / from, to], x.dtype)
  resizeRowsInto(out, x, from, to)
  return out
}

/** The same, into a tensor that there is already. */
export function resizeRowsInto(out: Tensor, x: Tensor, from: number, to: number): void {
  const params = { size: out.size, oldChannels: from, channels: to }
  resizeKernel.run(x.device, params, [x, out], spread(x.device, out.size, 64))
}
