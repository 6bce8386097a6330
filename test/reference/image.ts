import { type Nd, nd } from './nd.ts'

/** (byte/255 − mean[c]) / std[c] of bytes in shape [N, H, W, C], as torchvision's ToTensor and Normalize. */
export function normalizeImages(
  bytes: Uint8Array,
  { shape, mean, std }: { shape: readonly number[]; mean: readonly number[]; std: readonly number[] },
): Nd {
  const channels = shape[3]
  return nd(
    shape,
    Array.from(bytes, (byte, i) => (byte / 255 - mean[i % channels]) / std[i % channels]),
  )
}
