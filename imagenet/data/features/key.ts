/** What features depend on: once any of it changes, they are others. */
import { createHash } from 'node:crypto'
import type { Device } from '../../../engine/index.ts'
import type { Module } from '../../../nn/index.ts'
import { describeAdapter } from '../../gpu/open.ts'
import { tuningOf } from '../../gpu/tuning.ts'
import type { Loader } from '../loader.ts'

/** A digest of a module's state: names, types, shapes and values, and which of it is in half precision. */
export async function weightsDigest(module: Module): Promise<string> {
  const hash = createHash('sha256')
  for (const [name, { dtype }] of module.namedParameters()) if (dtype !== 'f32') hash.update(`${name} in ${dtype}\n`)
  for (const [name, { dtype, shape, data }] of await module.stateDict())
    hash.update(`${name} ${dtype} ${shape}\n`).update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength))
  return hash.digest('hex')
}

/**
 * What the features of a loader's images depend on, their last bits included: those are the adapter's and the decoder's.
 *
 * @param weights digest of the weights of what computes them
 * @param images the source's fingerprint of the loader's images, in their order
 * @param view which draw of the augmentation
 */
export function featureKey(
  device: Device,
  { source, recipe }: Loader,
  { weights, images, view }: { weights: string; images: string; view: number },
): Record<string, unknown> {
  const { transform, imageSize, channels, decoder, seed } = recipe
  const { mean, std } = source
  const { name, backend, driver } = describeAdapter(device)
  return {
    weights,
    images,
    transform: { name: transform, imageSize, channels, mean: [...mean], std: [...std] },
    // Only augmentation draws anything.
    ...(transform === 'train' ? { seed, view } : {}),
    ...(source.path ? { decoder } : {}),
    adapter: `${name}, ${backend} ${driver}`,
    // Variants that were chosen by measuring them may round otherwise.
    ...(tuningOf(device)?.repeatable === false ? { tuned: true } : {}),
  }
}

/** A short name for a key. */
export const keyName = (key: object): string =>
  createHash('sha256').update(JSON.stringify(key)).digest('hex').slice(0, 16)
